select
    {{ adx.as_text('source.exchange_id') }} as exchange_id,
    {{ adx.as_text('source.name') }} as name,
    {{ adx.as_text('source.currency') }} as currency,
    {{ adx.as_text('source.auction_type') }} as auction_type
from {{ source('reference', 'exchanges') }} as source
