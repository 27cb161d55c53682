select
    {{ adx.as_text('source.stream') }} as stream,
    {{ adx.as_text('source.topic_id') }} as topic_id,
    cast(source.partition_id as integer) as partition_id,
    cast(source.kafka_offset as bigint) as kafka_offset,
    cast(source.kafka_timestamp as timestamp) as kafka_timestamp,
    cast(source.revision as bigint) as revision,
    {{ adx.as_text('source.record_type') }} as record_type,
    cast(source.contract_version as integer) as contract_version,
    {{ adx.as_text('source.reason_code') }} as reason_code,
    {{ adx.as_text('source.reason') }} as reason,
    {{ adx.as_text('source.event_id') }} as event_id,
    cast(source.event_time as timestamp) as event_time,
    cast(source.event_date as date) as event_date,
    cast(source.load_id as bigint) as load_id
from {{ source('raw', 'rejects') }} as source
