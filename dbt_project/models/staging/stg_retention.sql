select
    {{ adx.as_text('source.table_name') }} as table_name,
    cast(source.kept_from as date) as kept_from,
    cast(source.rows_removed as bigint) as rows_removed,
    cast(source.applied_at as timestamp) as applied_at
from {{ source('control', 'retention') }} as source
