with ranges as (

    select
        load_ranges.stream,
        load_ranges.topic_id,
        load_ranges.partition_id,
        min(load_ranges.start_offset) as start_offset,
        max(load_ranges.end_offset) as end_offset
    from {{ ref('stg_load_ranges') }} as load_ranges
    cross join {{ ref('int_changed_loads') }} as loads
    where load_ranges.load_id <= loads.to_load_id
    group by load_ranges.stream, load_ranges.topic_id, load_ranges.partition_id

),

stored as (

    select
        counts.stream,
        counts.topic_id,
        counts.partition_id,
        {%- for disposition in ['accepted', 'rejected', 'duplicate', 'conflict'] %}
        {{ adx.sum_bigint("case when counts.disposition = '" ~ disposition ~ "' then counts.distinct_offsets else 0 end") }} as {{ disposition }},
        {%- endfor %}
        {{ adx.sum_bigint('counts.stored_rows - counts.distinct_offsets') }} as repeated_offsets
    from {{ ref('int_offset_counts') }} as counts
    group by counts.stream, counts.topic_id, counts.partition_id

),

missing as (

    select
        gaps.stream,
        gaps.topic_id,
        gaps.partition_id,
        {{ adx.sum_bigint("case when gaps.gap_kind = 'absent' then gaps.gap_length else 0 end") }} as absent,
        {{ adx.sum_bigint("case when gaps.gap_kind = 'lost' then gaps.gap_length else 0 end") }} as lost
    from {{ ref('stg_gaps') }} as gaps
    cross join {{ ref('int_changed_loads') }} as loads
    where gaps.load_id <= loads.to_load_id
    group by gaps.stream, gaps.topic_id, gaps.partition_id

),

equation as (

    select
        ranges.stream,
        ranges.topic_id,
        ranges.partition_id,
        ranges.start_offset,
        ranges.end_offset,
        ranges.end_offset - ranges.start_offset as committed_offsets,
        coalesce(stored.accepted, 0) as accepted,
        coalesce(stored.rejected, 0) as rejected,
        coalesce(stored.duplicate, 0) as duplicate,
        coalesce(stored.conflict, 0) as conflict,
        coalesce(missing.absent, 0) as absent,
        coalesce(missing.lost, 0) as lost,
        coalesce(stored.repeated_offsets, 0) as repeated_offsets
    from ranges
    left join stored
        on ranges.stream = stored.stream
        and ranges.topic_id = stored.topic_id
        and ranges.partition_id = stored.partition_id
    left join missing
        on ranges.stream = missing.stream
        and ranges.topic_id = missing.topic_id
        and ranges.partition_id = missing.partition_id

)

select
    equation.*,
    equation.committed_offsets - equation.accepted - equation.rejected - equation.duplicate
        - equation.conflict - equation.absent - equation.lost as difference,
    equation.repeated_offsets = 0
        and equation.committed_offsets = equation.accepted + equation.rejected + equation.duplicate
            + equation.conflict + equation.absent + equation.lost as is_conserved
from equation
