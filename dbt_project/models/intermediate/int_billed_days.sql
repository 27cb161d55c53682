{{ adx.touched_days_config('campaign_local', 'local_date') }}

with billed as (

    select
        impressions.campaign_id,
        impressions.advertiser_id,
        coalesce(impressions.currency, {{ adx.no_currency() }}) as currency,
        impressions.spend_micros,
        coalesce(impressions.notice_load_id, impressions.load_id) as notice_load_id,
        cast({{ adx.add_time('impressions.billed_at', 'coalesce(offsets.offset_minutes, 0)', 'minute') }} as date) as local_date
    from {{ ref('fct_impressions') }} as impressions
    left join {{ ref('stg_advertisers') }} as advertisers
        on impressions.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_time_zone_offsets') }} as offsets
        on advertisers.time_zone = offsets.time_zone
        and impressions.billed_at >= offsets.utc_from
        and impressions.billed_at < offsets.utc_to
    where impressions.billed_at is not null
    {%- if adx.builds_touched_days() %}
        and {{ adx.is_near_touched(
            'campaign_local', 'impressions.impression_date',
            before=var('adx_lookback_days') + 1, after=var('adx_lookback_days') + 1
        ) }}
    {%- endif %}

)

select
    billed.campaign_id,
    billed.advertiser_id,
    billed.currency,
    billed.notice_load_id,
    {{ adx.count_bigint() }} as billed_impressions,
    {{ adx.count_bigint('billed.spend_micros') }} as priced_impressions,
    {{ adx.sum_bigint('coalesce(billed.spend_micros, 0)') }} as spend_micros,
    billed.local_date
from billed
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('campaign_local', 'billed.local_date') }}
{%- endif %}
group by
    billed.campaign_id,
    billed.advertiser_id,
    billed.currency,
    billed.notice_load_id,
    billed.local_date
