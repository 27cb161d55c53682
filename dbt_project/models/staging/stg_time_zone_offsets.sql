select
    {{ adx.as_text('source.time_zone') }} as time_zone,
    cast(source.utc_from as timestamp) as utc_from,
    cast(source.utc_to as timestamp) as utc_to,
    cast(source.offset_minutes as integer) as offset_minutes
from {{ source('reference', 'time_zone_offsets') }} as source
