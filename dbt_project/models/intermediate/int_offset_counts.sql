{{ adx.touched_days_config('offsets', 'event_date') }}

with stored as (

    select
        dispositions.stream,
        dispositions.topic_id,
        dispositions.partition_id,
        dispositions.kafka_offset,
        dispositions.disposition,
        dispositions.event_date
    from {{ ref('int_event_dispositions') }} as dispositions
    union all
    select
        rejects.stream,
        rejects.topic_id,
        rejects.partition_id,
        rejects.kafka_offset,
        {{ adx.as_text("'rejected'") }} as disposition,
        rejects.event_date
    from {{ ref('stg_rejects') }} as rejects
    cross join {{ ref('int_changed_loads') }} as loads
    where rejects.load_id <= loads.to_load_id

),

counted as (

    select
        stored.stream,
        stored.topic_id,
        stored.partition_id,
        stored.disposition,
        {{ adx.count_bigint() }} as stored_rows,
        {{ adx.count_bigint('distinct stored.kafka_offset') }} as distinct_offsets,
        stored.event_date
    from stored
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('offsets', 'stored.event_date') }}
    {%- endif %}
    group by
        stored.stream, stored.topic_id, stored.partition_id, stored.disposition, stored.event_date
    union all
    -- What stands for rows past their retention.
    select
        expired.stream,
        expired.topic_id,
        expired.partition_id,
        expired.disposition,
        expired.end_offset - expired.start_offset as stored_rows,
        expired.end_offset - expired.start_offset as distinct_offsets,
        expired.event_date
    from {{ ref('stg_expired_offsets') }} as expired
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('offsets', 'expired.event_date') }}
    {%- endif %}

)

select
    counted.stream,
    counted.topic_id,
    counted.partition_id,
    counted.disposition,
    {{ adx.sum_bigint('counted.stored_rows') }} as stored_rows,
    {{ adx.sum_bigint('counted.distinct_offsets') }} as distinct_offsets,
    counted.event_date
from counted
group by
    counted.stream, counted.topic_id, counted.partition_id, counted.disposition, counted.event_date
