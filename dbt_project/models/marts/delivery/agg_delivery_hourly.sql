{{ adx.touched_days_config('campaign', 'event_date') }}

with {{ adx.delivery_measures('campaign') }}

select
    {{ adx.hour_of('happened.happened_at') }} as hour_start,
    {%- for dimension in adx.delivery_dimensions() %}
    {{ adx.as_text('happened.' ~ dimension) }} as {{ dimension }},
    {%- endfor %}
    coalesce(advertisers.currency, {{ adx.no_currency() }}) as currency,
    {{- adx.summed_delivery_measures('happened') }},
    max(happened.load_id) as load_id,
    cast(happened.happened_at as date) as event_date
from happened
left join {{ ref('stg_advertisers') }} as advertisers
    on happened.advertiser_id = advertisers.advertiser_id
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('campaign', 'cast(happened.happened_at as date)') }}
{%- endif %}
group by
    {{ adx.hour_of('happened.happened_at') }},
    {%- for dimension in adx.delivery_dimensions() %}
    happened.{{ dimension }},
    {%- endfor %}
    coalesce(advertisers.currency, {{ adx.no_currency() }}),
    cast(happened.happened_at as date)
