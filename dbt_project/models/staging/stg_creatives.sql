select
    {{ adx.as_text('source.creative_id') }} as creative_id,
    {{ adx.as_text('source.campaign_id') }} as campaign_id,
    {{ adx.as_text('source.name') }} as name,
    {{ adx.as_text('source.format') }} as format,
    cast(source.width as integer) as width,
    cast(source.height as integer) as height
from {{ source('reference', 'creatives') }} as source
