-- Cutting time by arrival loses and doubles no message: per stream and fate the hours add up to the
-- offsets that are stored. Where rows have expired, hours of days that are not made anew stand still,
-- and what comes late for these days is in no hour: only later days are compared, and as an event may
-- arrive on another day than it happened, from both sides.
{%- set fates = [('accepted', 'accepted'), ('duplicate', 'duplicates'), ('conflict', 'conflicts')] %}
with rejects as (

    select
        rejects.stream,
        count(*) as rejected
    from {{ ref('stg_rejects') }} as rejects
    cross join {{ ref('int_changed_loads') }} as loads
    cross join {{ ref('int_rebuild_limit') }} as rebuild_limit
    where rejects.load_id <= loads.to_load_id
        and cast(coalesce(rejects.kafka_timestamp, cast(rejects.event_date as timestamp)) as date) >= rebuild_limit.first_date
    group by rejects.stream

),

hours as (

    select
        hourly.stream,
        sum(hourly.rejected) as rejected
        {%- for _, name in fates %},
        sum(hourly.{{ name }}) as {{ name }},
        sum(case
            when hourly.arrival_date >= {{ adx.add_days('rebuild_limit.first_date', var('adx_latest_arrival_days') + 1) }}
                then hourly.{{ name }}
            else 0
        end) as sure_{{ name }}
        {%- endfor %}
    from {{ ref('agg_arrivals_hourly') }} as hourly
    cross join {{ ref('int_rebuild_limit') }} as rebuild_limit
    where hourly.arrival_date >= rebuild_limit.first_date
    group by hourly.stream

),

offsets as (

    select
        counts.stream
        {%- for disposition, name in fates %},
        sum(case when counts.disposition = '{{ disposition }}' then counts.stored_rows else 0 end) as {{ name }},
        sum(case
            when counts.disposition = '{{ disposition }}' and counts.event_date > rebuild_limit.first_date
                then counts.stored_rows
            else 0
        end) as sure_{{ name }}
        {%- endfor %}
    from {{ ref('int_offset_counts') }} as counts
    cross join {{ ref('int_rebuild_limit') }} as rebuild_limit
    where counts.event_date >= rebuild_limit.first_date
    group by counts.stream

)

select
    coalesce(hours.stream, offsets.stream, rejects.stream) as stream
from hours
full outer join offsets on hours.stream = offsets.stream
full outer join rejects on coalesce(hours.stream, offsets.stream) = rejects.stream
where coalesce(hours.rejected, 0) <> coalesce(rejects.rejected, 0)
    {%- for _, name in fates %}
    or coalesce(hours.{{ name }}, 0) < coalesce(offsets.sure_{{ name }}, 0)
    or coalesce(hours.sure_{{ name }}, 0) > coalesce(offsets.{{ name }}, 0)
    {%- endfor %}
