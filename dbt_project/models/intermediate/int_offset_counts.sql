{{ adx.touched_days_config('quality', 'event_date') }}

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

)

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
where {{ adx.is_touched('quality', 'stored.event_date') }}
{%- endif %}
group by
    stored.stream, stored.topic_id, stored.partition_id, stored.disposition, stored.event_date
