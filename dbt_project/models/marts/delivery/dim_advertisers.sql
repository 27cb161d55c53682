select
    advertisers.advertiser_id,
    advertisers.name as advertiser_name,
    advertisers.time_zone,
    advertisers.currency,
    advertisers.click_lookback_hours,
    advertisers.view_lookback_hours,
    advertisers.updated_at
from {{ ref('stg_advertisers') }} as advertisers
