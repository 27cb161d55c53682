-- Cutting time in local days moves figures between days and changes no campaign's total. Reads the
-- two aggregates only, which stay small.
with daily as (

    select
        daily.campaign_id,
        daily.advertiser_id,
        sum(daily.spend_micros) as spend_micros,
        sum(daily.net_impressions) as net_impressions,
        sum(daily.net_clicks) as net_clicks,
        sum(daily.conversions) as conversions
    from {{ ref('agg_campaign_daily') }} as daily
    group by daily.campaign_id, daily.advertiser_id

),

hourly as (

    select
        hourly.campaign_id,
        hourly.advertiser_id,
        sum(hourly.spend_micros) as spend_micros,
        sum(hourly.net_impressions) as net_impressions,
        sum(hourly.net_clicks) as net_clicks,
        sum(hourly.conversions) as conversions
    from {{ ref('agg_campaign_hourly') }} as hourly
    group by hourly.campaign_id, hourly.advertiser_id

)

select
    coalesce(daily.campaign_id, hourly.campaign_id) as campaign_id,
    coalesce(daily.advertiser_id, hourly.advertiser_id) as advertiser_id
from daily
full outer join hourly
    on daily.campaign_id = hourly.campaign_id
    and daily.advertiser_id = hourly.advertiser_id
where daily.campaign_id is null
    or hourly.campaign_id is null
    or daily.spend_micros <> hourly.spend_micros
    or daily.net_impressions <> hourly.net_impressions
    or daily.net_clicks <> hourly.net_clicks
    or daily.conversions <> hourly.conversions
