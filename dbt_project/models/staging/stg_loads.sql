select
    cast(source.load_id as bigint) as load_id,
    {{ adx.as_text('source.stream') }} as stream,
    cast(source.lake_version as bigint) as lake_version,
    cast(source.loaded_at as timestamp) as loaded_at,
    cast(source.row_count as bigint) as row_count
from {{ source('control', 'loads') }} as source
