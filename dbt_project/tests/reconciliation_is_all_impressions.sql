-- Every impression is in the reconciliation once, with its spend. Looks at rebuilt days.
with figures as (

    select
        facts.impression_date,
        1 as impressions,
        case when facts.billed_at is not null then 1 else 0 end as billed,
        coalesce(facts.spend_micros, 0) as spend_micros
    from {{ ref('fct_impressions') }} as facts
    where {{ adx.is_touched('impression', 'facts.impression_date') }}
    union all
    select
        sums.impression_date,
        -1 * sums.impressions as impressions,
        -1 * sums.billed as billed,
        -1 * sums.spend_micros as spend_micros
    from {{ ref('agg_delivery_reconciliation') }} as sums
    where {{ adx.is_touched('impression', 'sums.impression_date') }}

)

select figures.impression_date
from figures
group by figures.impression_date
having sum(figures.impressions) <> 0 or sum(figures.billed) <> 0 or sum(figures.spend_micros) <> 0
