select
    publishers.publisher_id,
    publishers.exchange_id,
    publishers.name as publisher_name,
    publishers.domain
from {{ ref('stg_publishers') }} as publishers
