select
    {{ adx.as_text('source.table_name') }} as table_name,
    {{ adx.as_text('source.version') }} as version,
    cast(source.loaded_at as timestamp) as loaded_at,
    cast(source.row_count as bigint) as row_count
from {{ source('control', 'reference_loads') }} as source
