select
    exchanges.exchange_id,
    exchanges.name as exchange_name,
    exchanges.currency,
    exchanges.auction_type
from {{ ref('stg_exchanges') }} as exchanges
