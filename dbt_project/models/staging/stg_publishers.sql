select
    {{ adx.as_text('source.publisher_id') }} as publisher_id,
    {{ adx.as_text('source.exchange_id') }} as exchange_id,
    {{ adx.as_text('source.name') }} as name,
    {{ adx.as_text('source.domain') }} as domain
from {{ source('reference', 'publishers') }} as source
