{{ adx.touched_days_config('auction', 'auction_date') }}

with auctions as (

    select
        {{ adx.hour_of('facts.requested_at') }} as hour_start,
        facts.exchange_id,
        coalesce(facts.placement_id, 'unknown') as placement_id,
        coalesce(facts.media_type, 'unknown') as media_type,
        coalesce(facts.deal_id, 'none') as deal_id,
        case
            when facts.floor_cpm_micros is null then {{ adx.no_currency() }}
            else coalesce(facts.floor_currency, {{ adx.no_currency() }})
        end as floor_currency,
        facts.imp_index,
        facts.is_givt,
        facts.decision,
        facts.outcome,
        facts.latency_ms,
        facts.floor_cpm_micros,
        facts.load_id,
        facts.auction_date
    from {{ ref('fct_auctions') }} as facts
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('auction', 'facts.auction_date') }}
    {%- endif %}

)

select
    auctions.hour_start,
    {{ adx.as_text('auctions.exchange_id') }} as exchange_id,
    {{ adx.as_text('auctions.placement_id') }} as placement_id,
    {{ adx.as_text('auctions.media_type') }} as media_type,
    {{ adx.as_text('auctions.deal_id') }} as deal_id,
    auctions.floor_currency,
    {{ adx.count_where('auctions.imp_index = 0') }} as requests,
    {{ adx.count_bigint() }} as offered,
    {{ adx.count_where('auctions.is_givt') }} as givt_offered,
    {{ adx.count_where("auctions.decision = 'bid'") }} as bids,
    {{ adx.count_where("auctions.decision = 'no_bid'") }} as no_bids,
    {{ adx.count_where("auctions.decision = 'no_response'") }} as no_responses,
    {{ adx.count_where("auctions.outcome = 'won'") }} as wins,
    {{ adx.count_where("auctions.outcome = 'lost'") }} as losses,
    {{ adx.count_where("auctions.outcome = 'unknown'") }} as unknown_outcomes,
    {{ adx.count_bigint('auctions.latency_ms') }} as timed_responses,
    {{ adx.sum_bigint('coalesce(auctions.latency_ms, 0)') }} as latency_ms,
    {{ adx.count_bigint('auctions.floor_cpm_micros') }} as floors,
    {{ adx.sum_bigint('coalesce(auctions.floor_cpm_micros, 0)') }} as floor_cpm_micros,
    max(auctions.load_id) as load_id,
    auctions.auction_date
from auctions
group by
    auctions.hour_start,
    auctions.exchange_id,
    auctions.placement_id,
    auctions.media_type,
    auctions.deal_id,
    auctions.floor_currency,
    auctions.auction_date
