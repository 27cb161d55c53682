{{ adx.touched_days_config('campaign', 'event_date') }}

with {{ adx.delivery_measures('campaign') }},

hourly as (

    select
        {{ adx.hour_of('happened.happened_at') }} as hour_start,
        {%- for dimension in adx.delivery_dimensions() %}
        happened.{{ dimension }},
        {%- endfor %}
        {{- adx.counted_campaign_measures('happened') }},
        max(happened.load_id) as load_id
    from happened
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('campaign', 'cast(happened.happened_at as date)') }}
    {%- endif %}
    group by
        {{ adx.hour_of('happened.happened_at') }},
        {%- for dimension in adx.delivery_dimensions() %}
        happened.{{ dimension }}{% if not loop.last %},{% endif %}
        {%- endfor %}

)

select
    hourly.hour_start,
    {%- for dimension in adx.delivery_dimensions() %}
    {{ adx.as_text('hourly.' ~ dimension) }} as {{ dimension }},
    {%- endfor %}
    coalesce(advertisers.currency, {{ adx.no_currency() }}) as currency,
    {{- adx.delivery_measures_of('hourly') }},
    hourly.load_id,
    cast(hourly.hour_start as date) as event_date
from hourly
left join {{ ref('stg_advertisers') }} as advertisers
    on hourly.advertiser_id = advertisers.advertiser_id
