{{ adx.touched_days_config('campaign_local', 'local_date') }}

with daily as (

    select
        days.local_date,
        days.campaign_id,
        days.advertiser_id,
        max(days.time_zone) as time_zone,
        max(advertisers.currency) as currency,
        {{- adx.summed_campaign_measures('days') }},
        max(days.load_id) as load_id
    from {{ ref('agg_delivery_daily') }} as days
    left join {{ ref('stg_advertisers') }} as advertisers
        on days.advertiser_id = advertisers.advertiser_id
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('campaign_local', 'days.local_date') }}
    {%- endif %}
    group by days.local_date, days.campaign_id, days.advertiser_id

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
