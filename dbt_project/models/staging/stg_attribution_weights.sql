select
    {{ adx.as_text('source.advertiser_id') }} as advertiser_id,
    {{ adx.as_text('source.model') }} as model,
    cast(source.window_start as date) as window_start,
    cast(source.window_end as date) as window_end,
    {{ adx.as_text('source.version') }} as version,
    {{ adx.as_text('source.campaign_id') }} as campaign_id,
    cast(source.weight as bigint) as weight,
    cast(source.trained_at as timestamp) as trained_at
from {{ source('reference', 'attribution_weights') }} as source
