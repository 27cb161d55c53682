{{ adx.touched_days_config('auction', 'auction_date') }}

with given as (

    select
        facts.exchange_id,
        case when facts.outcome = 'lost' then 'loss' else facts.decision end as kind,
        cast(coalesce(
            case
                when facts.outcome = 'lost' then facts.loss_reason
                when facts.decision = 'no_bid' then facts.no_bid_reason
            end, -1
        ) as integer) as reason_code,
        facts.load_id,
        facts.auction_date
    from {{ ref('fct_auctions') }} as facts
    where (facts.outcome = 'lost' or facts.decision in ('no_bid', 'no_response'))
    {%- if adx.builds_touched_days() %}
        and {{ adx.is_touched('auction', 'facts.auction_date') }}
    {%- endif %}

)

select
    given.exchange_id,
    {{ adx.as_text('given.kind') }} as kind,
    given.reason_code,
    {{ adx.as_text('case given.kind
        when \'loss\' then ' ~ adx.reason_in_words('given.reason_code', adx.loss_reasons()) ~ '
        when \'no_bid\' then ' ~ adx.reason_in_words('given.reason_code', adx.no_bid_reasons()) ~ '
        else \'no response\'
    end') }} as reason,
    {{ adx.count_bigint() }} as auctions,
    max(given.load_id) as load_id,
    given.auction_date
from given
group by given.exchange_id, given.kind, given.reason_code, given.auction_date
