-- Made anew by every build, of two tables by the hour: other objectives then judge all days.
{%- set objectives = var('adx_slo_millionths') %}
with counted as (

    select
        arrivals.arrival_date,
        arrivals.stream,
        {{ adx.as_text("'accepted'") }} as objective,
        {{ adx.sum_bigint('arrivals.accepted') }} as good,
        -- A copy of what was accepted is no loss.
        {{ adx.sum_bigint('arrivals.messages - arrivals.duplicates') }} as total
    from {{ ref('agg_arrivals_hourly') }} as arrivals
    group by arrivals.arrival_date, arrivals.stream
    union all
    select
        arrivals.arrival_date,
        arrivals.stream,
        {{ adx.as_text("'on_time'") }} as objective,
        {{ adx.sum_bigint('arrivals.accepted - arrivals.late') }} as good,
        {{ adx.sum_bigint('arrivals.accepted') }} as total
    from {{ ref('agg_arrivals_hourly') }} as arrivals
    group by arrivals.arrival_date, arrivals.stream
    union all
    select
        freshness.arrival_date,
        freshness.stream,
        {{ adx.as_text("'fresh'") }} as objective,
        {{ adx.count_where('freshness.is_fresh') }} as good,
        {{ adx.count_bigint() }} as total
    from {{ ref('agg_freshness_hourly') }} as freshness
    group by freshness.arrival_date, freshness.stream

),

judged as (

    select
        counted.*,
        cast(case counted.objective
            {%- for objective, millionths in objectives.items() %}
            when '{{ objective }}' then {{ millionths }}
            {%- endfor %}
        end as bigint) as target_millionths
    from counted

)

select
    judged.stream,
    judged.objective,
    judged.good,
    judged.total,
    judged.total - judged.good as bad,
    {{ adx.ratio('judged.good', 'judged.total') }} as share,
    cast(cast(judged.target_millionths as decimal(18, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(25, 6)) as target_share,
    {{ adx.wide('judged.good') }} * 1000000 >= {{ adx.wide('judged.total') }} * judged.target_millionths as is_met,
    {{ adx.ratio(
        '(judged.total - judged.good) * 1000000', 'judged.total * (1000000 - judged.target_millionths)'
    ) }} as budget_used,
    judged.arrival_date
from judged
