{{ adx.touched_days_config('ad_impressions', 'event_date') }}

{{ adx.losing_copies('stg_ad_impressions', 'ad_impressions') }}
