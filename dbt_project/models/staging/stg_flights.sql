select
    {{ adx.as_text('source.flight_id') }} as flight_id,
    {{ adx.as_text('source.campaign_id') }} as campaign_id,
    cast(source.starts_at as timestamp) as starts_at,
    cast(source.ends_at as timestamp) as ends_at,
    cast(source.budget_micros as bigint) as budget_micros
from {{ source('reference', 'flights') }} as source
