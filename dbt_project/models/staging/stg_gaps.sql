select
    {{ adx.as_text('source.stream') }} as stream,
    {{ adx.as_text('source.topic_id') }} as topic_id,
    cast(source.partition_id as integer) as partition_id,
    cast(source.kafka_offset as bigint) as kafka_offset,
    {{ adx.as_text('source.gap_kind') }} as gap_kind,
    cast(source.gap_length as bigint) as gap_length,
    cast(source.kafka_timestamp as timestamp) as kafka_timestamp,
    cast(source.load_id as bigint) as load_id
from {{ source('raw', 'gaps') }} as source
