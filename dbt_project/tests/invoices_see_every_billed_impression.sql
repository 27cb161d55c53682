-- What is compared with the exchanges' invoices is every billed impression with its price, once. Looks
-- at rebuilt days.
with figures as (

    select
        cast(facts.billed_at as date) as billed_date,
        1 as billed_impressions,
        coalesce(facts.billed_price_cpm_micros, 0) as price_cpm_micros
    from {{ ref('fct_impressions') }} as facts
    where {{ adx.is_touched('campaign', 'cast(facts.billed_at as date)') }}
        and {{ adx.is_near_touched('campaign', 'facts.impression_date') }}
    union all
    select
        days.billed_date,
        -1 * days.billed_impressions as billed_impressions,
        -1 * days.price_cpm_micros as price_cpm_micros
    from {{ ref('int_exchange_billed_days') }} as days
    where {{ adx.is_touched('campaign', 'days.billed_date') }}

)

select figures.billed_date
from figures
group by figures.billed_date
having sum(figures.billed_impressions) <> 0 or sum(figures.price_cpm_micros) <> 0
