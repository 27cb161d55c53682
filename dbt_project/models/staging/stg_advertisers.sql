select
    {{ adx.as_text('source.advertiser_id') }} as advertiser_id,
    {{ adx.as_text('source.name') }} as name,
    {{ adx.as_text('source.time_zone') }} as time_zone,
    {{ adx.as_text('source.currency') }} as currency,
    cast(source.click_lookback_hours as integer) as click_lookback_hours,
    cast(source.view_lookback_hours as integer) as view_lookback_hours,
    cast(source.updated_at as timestamp) as updated_at
from {{ source('reference', 'advertisers') }} as source
