-- Cutting time by arrival loses and doubles no message: per stream and fate the hours add up to the
-- offsets that are stored.
with hours as (

    select
        hourly.stream,
        sum(hourly.accepted) as accepted,
        sum(hourly.rejected) as rejected,
        sum(hourly.duplicates) as duplicates,
        sum(hourly.conflicts) as conflicts
    from {{ ref('agg_arrivals_hourly') }} as hourly
    group by hourly.stream

),

offsets as (

    select
        counts.stream,
        {%- for disposition, name in [('accepted', 'accepted'), ('rejected', 'rejected'), ('duplicate', 'duplicates'), ('conflict', 'conflicts')] %}
        {{ adx.sum_bigint("case when counts.disposition = '" ~ disposition ~ "' then counts.stored_rows else 0 end") }} as {{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('int_offset_counts') }} as counts
    group by counts.stream

)

select
    coalesce(hours.stream, offsets.stream) as stream
from hours
full outer join offsets on hours.stream = offsets.stream
where coalesce(hours.accepted, 0) <> coalesce(offsets.accepted, 0)
    or coalesce(hours.rejected, 0) <> coalesce(offsets.rejected, 0)
    or coalesce(hours.duplicates, 0) <> coalesce(offsets.duplicates, 0)
    or coalesce(hours.conflicts, 0) <> coalesce(offsets.conflicts, 0)
