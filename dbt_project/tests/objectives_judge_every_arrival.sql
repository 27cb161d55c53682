-- What the objectives judge is every message that arrived, once. Reads two small tables.
with figures as (

    select
        arrivals.arrival_date,
        arrivals.stream,
        arrivals.messages - arrivals.duplicates as total,
        arrivals.accepted as good
    from {{ ref('agg_arrivals_hourly') }} as arrivals
    union all
    select
        objectives.arrival_date,
        objectives.stream,
        -1 * objectives.total as total,
        -1 * objectives.good as good
    from {{ ref('agg_slo_daily') }} as objectives
    where objectives.objective = 'accepted'

)

select
    figures.arrival_date,
    figures.stream
from figures
group by figures.arrival_date, figures.stream
having sum(figures.total) <> 0 or sum(figures.good) <> 0
