-- Splitting a campaign's figures by where they happened loses and doubles nothing. Looks at rebuilt
-- days.
{%- set measures = ['wins', 'billed_impressions', 'gross_impressions', 'net_impressions', 'measurable_impressions', 'viewable_impressions', 'gross_clicks', 'net_clicks', 'conversions', 'post_click_conversions', 'spend_micros', 'revenue_micros'] %}
{%- set pairs = [
    ('agg_campaign_hourly', 'agg_delivery_hourly', 'campaign', 'event_date'),
    ('agg_campaign_daily', 'agg_delivery_daily', 'campaign_local', 'local_date'),
] %}
with figures as (
    {% for whole, parts, entity, date in pairs %}
    {%- for model, sign in [(whole, 1), (parts, -1)] %}
    select
        {{ adx.as_text("'" ~ parts ~ "'") }} as model,
        figures.campaign_id,
        figures.advertiser_id,
        figures.{{ date }} as day,
        {%- for measure in measures %}
        {{ sign }} * figures.{{ measure }} as {{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref(model) }} as figures
    where {{ adx.is_touched(entity, 'figures.' ~ date) }}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

)

select
    figures.model,
    figures.campaign_id,
    figures.advertiser_id,
    figures.day
from figures
group by figures.model, figures.campaign_id, figures.advertiser_id, figures.day
having {% for measure in measures %}sum(figures.{{ measure }}) <> 0{% if not loop.last %} or {% endif %}{% endfor %}
