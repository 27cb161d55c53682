-- Gross impressions, clicks and spend of the days that were rebuilt are those of the facts; what is invalid
-- is subtracted once.
select
    coalesce(facts.event_date, sums.event_date) as event_date
from (
    select
        traffic.event_date,
        sum(traffic.impressions) as impressions,
        sum(traffic.clicks) as clicks,
        sum(traffic.spend_micros) as spend_micros
    from (
        select
            cast(impressions.rendered_at as date) as event_date,
            1 as impressions,
            0 as clicks,
            coalesce(impressions.spend_micros, 0) as spend_micros
        from {{ ref('fct_impressions') }} as impressions
        where impressions.rendered_at is not null
        union all
        select
            clicks.click_date as event_date,
            0 as impressions,
            1 as clicks,
            0 as spend_micros
        from {{ ref('fct_clicks') }} as clicks
    ) as traffic
    where {{ adx.is_touched('ivt', 'traffic.event_date') }}
    group by traffic.event_date
) as facts
full outer join (
    select
        daily.event_date,
        sum(daily.gross_impressions) as impressions,
        sum(daily.gross_clicks) as clicks,
        sum(daily.gross_spend_micros) as spend_micros,
        sum(daily.gross_impressions - daily.net_impressions + daily.gross_clicks - daily.net_clicks) as invalid
    from {{ ref('agg_ivt_daily') }} as daily
    where {{ adx.is_touched('ivt', 'daily.event_date') }}
    group by daily.event_date
) as sums on facts.event_date = sums.event_date
left join (
    select
        invalid.event_date,
        count(*) as invalid
    from {{ ref('fct_invalid_traffic') }} as invalid
    where {{ adx.is_touched('ivt', 'invalid.event_date') }}
    group by invalid.event_date
) as flagged on sums.event_date = flagged.event_date
where facts.event_date is null
    or sums.event_date is null
    or facts.impressions <> sums.impressions
    or facts.clicks <> sums.clicks
    or facts.spend_micros <> sums.spend_micros
    or sums.invalid <> coalesce(flagged.invalid, 0)
