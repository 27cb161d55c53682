-- No spend, impression, click or revenue is lost or doubled between the facts and the hours.
-- Looks at rebuilt days.
with facts as (

    select
        cast(measures.happened_at as date) as event_date,
        sum(measures.spend_micros) as spend_micros,
        sum(measures.gross_impressions) as gross_impressions,
        sum(measures.gross_clicks) as gross_clicks,
        sum(measures.conversions) as conversions,
        sum(measures.revenue_micros) as revenue_micros
    from {{ ref('int_campaign_measures') }} as measures
    where {{ adx.is_touched('campaign', 'cast(measures.happened_at as date)') }}
        and {{ adx.is_near_touched('campaign', 'measures.source_date') }}
    group by cast(measures.happened_at as date)

),

hours as (

    select
        hourly.event_date,
        sum(hourly.spend_micros) as spend_micros,
        sum(hourly.gross_impressions) as gross_impressions,
        sum(hourly.gross_clicks) as gross_clicks,
        sum(hourly.conversions) as conversions,
        sum(hourly.revenue_micros) as revenue_micros
    from {{ ref('agg_campaign_hourly') }} as hourly
    where {{ adx.is_touched('campaign', 'hourly.event_date') }}
    group by hourly.event_date

)

select
    coalesce(facts.event_date, hours.event_date) as event_date
from facts
full outer join hours on facts.event_date = hours.event_date
where coalesce(facts.spend_micros, 0) <> coalesce(hours.spend_micros, 0)
    or coalesce(facts.gross_impressions, 0) <> coalesce(hours.gross_impressions, 0)
    or coalesce(facts.gross_clicks, 0) <> coalesce(hours.gross_clicks, 0)
    or coalesce(facts.conversions, 0) <> coalesce(hours.conversions, 0)
    or coalesce(facts.revenue_micros, 0) <> coalesce(hours.revenue_micros, 0)
