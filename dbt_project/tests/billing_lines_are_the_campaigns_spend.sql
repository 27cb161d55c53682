-- The lines of a month add up to what its days spent, adjustments included. Reads small tables only.
with figures as (

    select
        lines.advertiser_id,
        lines.billing_month,
        lines.amount_micros
    from {{ ref('fct_billing_lines') }} as lines
    union all
    select
        daily.advertiser_id,
        cast(date_trunc('month', daily.local_date) as date) as billing_month,
        -1 * daily.spend_micros as amount_micros
    from {{ ref('agg_campaign_daily') }} as daily

)

select
    figures.advertiser_id,
    figures.billing_month
from figures
group by figures.advertiser_id, figures.billing_month
having sum(figures.amount_micros) <> 0
