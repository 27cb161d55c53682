select
    {{ adx.as_text('source.stream') }} as stream,
    {{ adx.as_text('source.topic_id') }} as topic_id,
    cast(source.partition_id as integer) as partition_id,
    cast(source.start_offset as bigint) as start_offset,
    cast(source.end_offset as bigint) as end_offset,
    {{ adx.as_text('source.disposition') }} as disposition,
    cast(source.event_date as date) as event_date
from {{ source('control', 'expired_offsets') }} as source
