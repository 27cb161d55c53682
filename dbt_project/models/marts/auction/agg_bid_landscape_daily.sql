{{ adx.touched_days_config('auction', 'auction_date') }}

{%- set width = var('adx_price_bucket_micros') %}
{%- set last_bucket = (var('adx_last_price_bucket_micros') // width) * width %}

with bids as (

    select
        facts.exchange_id,
        coalesce(facts.bid_currency, {{ adx.no_currency() }}) as currency,
        {{ width }} * {{ adx.integer_quotient(
            adx.wide('least(greatest(facts.bid_price_cpm_micros, 0), ' ~ last_bucket ~ ')'), adx.wide(width | string)
        ) }} as bucket_cpm_micros,
        facts.bid_price_cpm_micros,
        facts.outcome,
        -- A price in another currency than the bid's stays out of the sums.
        case
            when facts.outcome = 'won' and facts.clearing_currency = facts.bid_currency
                then facts.clearing_price_cpm_micros
        end as clearing_price_cpm_micros,
        facts.min_to_win_cpm_micros,
        facts.load_id,
        facts.auction_date
    from {{ ref('fct_auctions') }} as facts
    where facts.bid_price_cpm_micros is not null
    {%- if adx.builds_touched_days() %}
        and {{ adx.is_touched('auction', 'facts.auction_date') }}
    {%- endif %}

)

select
    bids.exchange_id,
    bids.currency,
    {{ adx.as_bigint('bids.bucket_cpm_micros') }} as bucket_cpm_micros,
    {{ adx.count_bigint() }} as bids,
    {{ adx.sum_bigint('bids.bid_price_cpm_micros') }} as bid_cpm_micros,
    {{ adx.count_where("bids.outcome = 'won'") }} as wins,
    {{ adx.count_where("bids.outcome = 'lost'") }} as losses,
    {{ adx.count_bigint('bids.clearing_price_cpm_micros') }} as priced_wins,
    {{ adx.sum_bigint('case when bids.clearing_price_cpm_micros is not null then bids.bid_price_cpm_micros else 0 end') }} as priced_wins_bid_cpm_micros,
    {{ adx.sum_bigint('coalesce(bids.clearing_price_cpm_micros, 0)') }} as clearing_cpm_micros,
    {{ adx.count_bigint('bids.min_to_win_cpm_micros') }} as min_to_win_known,
    {{ adx.sum_bigint('coalesce(bids.min_to_win_cpm_micros, 0)') }} as min_to_win_cpm_micros,
    max(bids.load_id) as load_id,
    bids.auction_date
from bids
group by bids.exchange_id, bids.currency, bids.bucket_cpm_micros, bids.auction_date
