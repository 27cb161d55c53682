select
    {{ adx.as_text('source.build_id') }} as build_id,
    cast(source.to_load_id as bigint) as to_load_id,
    cast(source.completed_at as timestamp) as completed_at
from {{ source('control', 'builds') }} as source
