-- No spend, impression, click or revenue is lost or doubled between the facts and the hours.
-- Looks at rebuilt days.
{%- set measures = ['spend_micros', 'gross_impressions', 'gross_clicks', 'conversions', 'revenue_micros'] %}
{%- set happened = [
    ('fct_impressions', 'facts.billed_at', 'facts.impression_date', 'true', {'spend_micros': 'coalesce(facts.spend_micros, 0)'}),
    ('fct_impressions', 'facts.rendered_at', 'facts.impression_date', 'true', {'gross_impressions': '1'}),
    ('fct_clicks', 'facts.clicked_at', 'facts.click_date', 'true', {'gross_clicks': '1'}),
    ('fct_attribution', 'facts.converted_at', 'facts.conversion_date', "facts.model = 'last_touch'", {
        'conversions': '1', 'revenue_micros': 'coalesce(facts.credited_revenue_micros, 0)',
    }),
] %}
with happened as (

    {%- for fact, time, date, condition, values in happened %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        cast({{ time }} as date) as event_date,
        {%- for measure in measures %}
        {{ values.get(measure, '0') }} as {{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref(fact) }} as facts
    where {{ condition }}
        and {{ adx.is_touched('campaign', 'cast(' ~ time ~ ' as date)') }}
        and {{ adx.is_near_touched('campaign', date) }}
    {%- endfor %}

),

facts as (

    select
        happened.event_date,
        {%- for measure in measures %}
        sum(happened.{{ measure }}) as {{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from happened
    group by happened.event_date

),

hours as (

    select
        hourly.event_date,
        {%- for measure in measures %}
        sum(hourly.{{ measure }}) as {{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('agg_campaign_hourly') }} as hourly
    where {{ adx.is_touched('campaign', 'hourly.event_date') }}
    group by hourly.event_date

)

select
    coalesce(facts.event_date, hours.event_date) as event_date
from facts
full outer join hours on facts.event_date = hours.event_date
where
    {%- for measure in measures %}
    {% if not loop.first %}or {% endif %}coalesce(facts.{{ measure }}, 0) <> coalesce(hours.{{ measure }}, 0)
    {%- endfor %}
