-- What a campaign spent up to its last running day is what its days add up to.
with last_days as (

    select
        pacing.campaign_id,
        pacing.advertiser_id,
        pacing.spent_to_date_micros,
        pacing.local_date,
        row_number() over (
            partition by pacing.campaign_id
            order by pacing.local_date desc nulls last
        ) as day_rank
    from {{ ref('agg_campaign_pacing_daily') }} as pacing

),

spent as (

    select
        last_days.campaign_id,
        last_days.spent_to_date_micros,
        coalesce(sum(daily.spend_micros), 0) as spend_micros
    from last_days
    left join {{ ref('agg_campaign_daily') }} as daily
        on last_days.campaign_id = daily.campaign_id
        and last_days.advertiser_id = daily.advertiser_id
        and daily.local_date <= last_days.local_date
    where last_days.day_rank = 1
    group by last_days.campaign_id, last_days.spent_to_date_micros

)

select spent.campaign_id
from spent
where spent.spent_to_date_micros <> spent.spend_micros
