{{ adx.touched_days_config('campaign_local', 'local_date') }}

with localised as (

    select
        measures.*,
        advertisers.currency,
        -- An advertiser or a zone that the reference data does not know is cut in UTC.
        coalesce(advertisers.time_zone, 'UTC') as time_zone,
        cast({{ adx.add_time('measures.happened_at', 'coalesce(offsets.offset_minutes, 0)', 'minute') }} as date) as local_date
    from {{ ref('int_campaign_measures') }} as measures
    left join {{ ref('stg_advertisers') }} as advertisers
        on measures.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_time_zone_offsets') }} as offsets
        on advertisers.time_zone = offsets.time_zone
        and measures.happened_at >= offsets.utc_from
        and measures.happened_at < offsets.utc_to
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_near_touched(
        'campaign_local', 'measures.source_date',
        before=var('adx_lookback_days') + 1, after=var('adx_lookback_days') + 1
    ) }}
        and {{ adx.is_near_touched('campaign_local', 'cast(measures.happened_at as date)', before=1, after=1) }}
    {%- endif %}

),

daily as (

    select
        localised.local_date,
        localised.campaign_id,
        localised.advertiser_id,
        max(localised.time_zone) as time_zone,
        max(localised.currency) as currency,
        {{- adx.summed_campaign_measures('localised') }},
        max(localised.load_id) as load_id
    from localised
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('campaign_local', 'localised.local_date') }}
    {%- endif %}
    group by localised.local_date, localised.campaign_id, localised.advertiser_id

)

select
    daily.campaign_id,
    daily.advertiser_id,
    daily.time_zone,
    daily.currency,
    daily.wins,
    daily.billed_impressions,
    daily.gross_impressions,
    daily.net_impressions,
    daily.measurable_impressions,
    daily.viewable_impressions,
    daily.gross_clicks,
    daily.net_clicks,
    daily.conversions,
    daily.post_click_conversions,
    daily.spend_micros,
    daily.revenue_micros,
    {{ adx.ratio('daily.viewable_impressions', 'daily.measurable_impressions') }} as viewability_rate,
    {{ adx.ratio('daily.net_clicks', 'daily.net_impressions') }} as ctr,
    {{ adx.ratio('daily.post_click_conversions', 'daily.net_clicks') }} as cvr,
    {{ adx.divide_half_up('daily.spend_micros', 'daily.net_impressions', 1000) }} as cpm_micros,
    {{ adx.divide_half_up('daily.spend_micros', 'daily.net_clicks') }} as cpc_micros,
    {{ adx.divide_half_up('daily.spend_micros', 'daily.conversions') }} as cpa_micros,
    {{ adx.ratio('daily.revenue_micros', 'daily.spend_micros') }} as roas,
    daily.load_id,
    daily.local_date
from daily
