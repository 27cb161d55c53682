select
    {{ adx.as_text('source.exchange_id') }} as exchange_id,
    cast(source.month as date) as month,
    {{ adx.as_text('source.currency') }} as currency,
    cast(source.amount_micros as bigint) as amount_micros
from {{ source('reference', 'exchange_invoices') }} as source
