{{ adx.touched_days_config('campaign_local', 'local_date') }}

with {{ adx.delivery_measures('campaign_local', around=1) }},

localised as (

    select
        happened.*,
        cast({{ adx.add_time('happened.happened_at', 'coalesce(offsets.offset_minutes, 0)', 'minute') }} as date) as local_date
    from happened
    left join {{ ref('stg_advertisers') }} as advertisers
        on happened.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_time_zone_offsets') }} as offsets
        on advertisers.time_zone = offsets.time_zone
        and happened.happened_at >= offsets.utc_from
        and happened.happened_at < offsets.utc_to

),

daily as (

    select
        {%- for dimension in adx.delivery_dimensions() %}
        localised.{{ dimension }},
        {%- endfor %}
        {{- adx.counted_campaign_measures('localised') }},
        max(localised.load_id) as load_id,
        localised.local_date
    from localised
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('campaign_local', 'localised.local_date') }}
    {%- endif %}
    group by
        {%- for dimension in adx.delivery_dimensions() %}
        localised.{{ dimension }},
        {%- endfor %}
        localised.local_date

)

select
    {%- for dimension in adx.delivery_dimensions() %}
    {{ adx.as_text('daily.' ~ dimension) }} as {{ dimension }},
    {%- endfor %}
    coalesce(advertisers.currency, {{ adx.no_currency() }}) as currency,
    -- An advertiser or a zone that the reference data does not know is cut in UTC.
    coalesce(advertisers.time_zone, 'UTC') as time_zone,
    {{- adx.delivery_measures_of('daily') }},
    daily.load_id,
    daily.local_date
from daily
left join {{ ref('stg_advertisers') }} as advertisers
    on daily.advertiser_id = advertisers.advertiser_id
