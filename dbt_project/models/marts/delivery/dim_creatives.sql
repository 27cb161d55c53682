select
    creatives.creative_id,
    creatives.campaign_id,
    creatives.name as creative_name,
    creatives.format,
    creatives.width,
    creatives.height
from {{ ref('stg_creatives') }} as creatives
