select
    {{ adx.as_text('source.cidr') }} as cidr,
    {{ adx.as_text('source.owner') }} as owner
from {{ source('reference', 'data_centre_ranges') }} as source
