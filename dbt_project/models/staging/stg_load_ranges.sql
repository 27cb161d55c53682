select
    cast(source.load_id as bigint) as load_id,
    {{ adx.as_text('source.stream') }} as stream,
    {{ adx.as_text('source.topic_id') }} as topic_id,
    cast(source.partition_id as integer) as partition_id,
    cast(source.start_offset as bigint) as start_offset,
    cast(source.end_offset as bigint) as end_offset,
    {{ adx.as_text('source.kind') }} as kind,
    cast(source.revision as bigint) as revision
from {{ source('control', 'load_ranges') }} as source
