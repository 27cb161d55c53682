select
    {{ adx.as_text('source.campaign_id') }} as campaign_id,
    {{ adx.as_text('source.advertiser_id') }} as advertiser_id,
    {{ adx.as_text('source.name') }} as name,
    {{ adx.as_text('source.objective') }} as objective,
    {{ adx.as_text('source.status') }} as status,
    cast(source.daily_budget_micros as bigint) as daily_budget_micros,
    cast(source.total_budget_micros as bigint) as total_budget_micros,
    cast(source.frequency_cap_per_day as integer) as frequency_cap_per_day,
    cast(source.updated_at as timestamp) as updated_at
from {{ source('reference', 'campaigns') }} as source
