{{ adx.touched_days_config('ad_impressions', 'event_date') }}

{{ adx.classify_events('stg_ad_impressions', 'ad_impressions', [
    'event_type',
    'impression_id',
    'exchange_id',
    'request_id',
    'imp_id',
    'bid_id',
    'campaign_id',
    'creative_id',
    'advertiser_id',
    'publisher_id',
    'site_domain',
    'app_bundle',
    'placement_id',
    'geo_country',
    'user_id',
    'device_type',
    'has_consent',
    'is_givt',
    'givt_reason',
]) }}
