select
    {{ adx.as_text('source.advertiser_id') }} as advertiser_id,
    cast(source.month as date) as month,
    cast(source.closed_at as timestamp) as closed_at,
    cast(source.to_load_id as bigint) as to_load_id,
    cast(source.amount_micros as bigint) as amount_micros
from {{ source('reference', 'billing_closes') }} as source
