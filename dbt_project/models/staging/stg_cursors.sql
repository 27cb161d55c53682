select
    {{ adx.as_text('source.stream') }} as stream,
    {{ adx.as_text('source.topic_id') }} as topic_id,
    cast(source.partition_id as integer) as partition_id,
    cast(source.next_offset as bigint) as next_offset,
    cast(source.load_id as bigint) as load_id
from {{ source('control', 'cursors') }} as source
