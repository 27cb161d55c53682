-- The three aggregates count every auction of the fact that is theirs, once. Looks at rebuilt days.
with figures as (

    select
        facts.auction_date,
        1 as offered,
        case when facts.decision = 'bid' and facts.bid_price_cpm_micros is not null then 1 else 0 end as priced_bids,
        case when facts.outcome = 'lost' or facts.decision <> 'bid' then 1 else 0 end as reasons,
        coalesce(facts.floor_cpm_micros, 0) as floor_cpm_micros
    from {{ ref('fct_auctions') }} as facts
    where {{ adx.is_touched('auction', 'facts.auction_date') }}
    union all
    select
        hourly.auction_date,
        -1 * hourly.offered as offered,
        0 as priced_bids,
        0 as reasons,
        -1 * hourly.floor_cpm_micros as floor_cpm_micros
    from {{ ref('agg_auctions_hourly') }} as hourly
    where {{ adx.is_touched('auction', 'hourly.auction_date') }}
    union all
    select
        landscape.auction_date,
        0 as offered,
        -1 * landscape.bids as priced_bids,
        0 as reasons,
        0 as floor_cpm_micros
    from {{ ref('agg_bid_landscape_daily') }} as landscape
    where {{ adx.is_touched('auction', 'landscape.auction_date') }}
    union all
    select
        given.auction_date,
        0 as offered,
        0 as priced_bids,
        -1 * given.auctions as reasons,
        0 as floor_cpm_micros
    from {{ ref('agg_auction_reasons_daily') }} as given
    where {{ adx.is_touched('auction', 'given.auction_date') }}

)

select figures.auction_date
from figures
group by figures.auction_date
having sum(figures.offered) <> 0
    or sum(figures.priced_bids) <> 0
    or sum(figures.reasons) <> 0
    or sum(figures.floor_cpm_micros) <> 0
