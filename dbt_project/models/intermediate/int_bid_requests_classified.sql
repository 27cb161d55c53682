{{ adx.touched_days_config('bid_requests', 'event_date') }}

{{ adx.classify_events('stg_bid_requests', 'bid_requests', [
    'exchange_id',
    'request_id',
    'auction_type',
    'is_test',
    'channel',
    'publisher_id',
    'site_domain',
    'app_bundle',
    'geo_country',
    'device_type',
    'has_consent',
    'is_givt',
]) }}
