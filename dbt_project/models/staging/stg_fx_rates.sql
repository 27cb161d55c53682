select
    cast(source.rate_date as date) as rate_date,
    {{ adx.as_text('source.from_currency') }} as from_currency,
    {{ adx.as_text('source.to_currency') }} as to_currency,
    cast(source.rate as {{ adx.type_rate() }}) as rate
from {{ source('reference', 'fx_rates') }} as source
