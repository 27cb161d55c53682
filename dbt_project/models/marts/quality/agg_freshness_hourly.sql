-- Made anew by every build, of one row per hour and exchange: an hour without messages has no row there,
-- and is the one that matters here.
with arrivals as (

    select
        arrivals.stream,
        arrivals.hour_start,
        {{ adx.sum_bigint('arrivals.messages') }} as messages,
        max(arrivals.last_arrived_at) as last_arrived_at,
        max(arrivals.load_id) as load_id
    from {{ ref('agg_arrivals_hourly') }} as arrivals
    group by arrivals.stream, arrivals.hour_start

),

streams as (

    select
        arrivals.stream,
        min(arrivals.hour_start) as first_hour
    from arrivals
    group by arrivals.stream

),

-- Whatever came last tells how far time has gone: a stream that stopped is stale until then.
clock as (

    select
        max(arrivals.hour_start) as last_hour,
        max(arrivals.last_arrived_at) as last_arrived_at
    from arrivals

),

hours as (

    select
        streams.stream,
        {{ adx.add_time('streams.first_hour', 'powers.n', 'hour') }} as hour_start
    from streams
    cross join clock
    cross join (
        select ones.n
            {%- for digit in ['tens', 'hundreds', 'thousands', 'ten_thousands'] %} + {{ 10 ** loop.index }} * {{ digit }}.n{% endfor %} as n
        from ({{ adx.numbers(0, 9, 'n') }}) as ones
        {%- for digit in ['tens', 'hundreds', 'thousands', 'ten_thousands'] %}
        cross join ({{ adx.numbers(0, 9, 'n') }}) as {{ digit }}
        {%- endfor %}
    ) as powers
    where {{ adx.add_time('streams.first_hour', 'powers.n', 'hour') }} <= clock.last_hour

),

seen as (

    select
        hours.stream,
        hours.hour_start,
        coalesce(arrivals.messages, 0) as messages,
        max(arrivals.last_arrived_at) over (
            partition by hours.stream
            order by hours.hour_start
            rows between unbounded preceding and current row
        ) as last_arrived_at,
        least({{ adx.add_time('hours.hour_start', 1, 'hour') }}, clock.last_arrived_at) as seen_at
    from hours
    cross join clock
    left join arrivals
        on hours.stream = arrivals.stream
        and hours.hour_start = arrivals.hour_start

),

aged as (

    select
        seen.*,
        {{ adx.whole_seconds_between('seen.last_arrived_at', 'seen.seen_at') }} as seconds_since_arrival
    from seen

)

select
    aged.hour_start,
    aged.stream,
    aged.messages,
    aged.last_arrived_at,
    aged.seconds_since_arrival,
    aged.seconds_since_arrival <= {{ var('adx_fresh_seconds') }} as is_fresh,
    cast(aged.hour_start as date) as arrival_date
from aged
