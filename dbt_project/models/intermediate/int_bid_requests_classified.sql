{{ config(materialized='view') }}

{{ adx.classified_events('stg_bid_requests', 'int_bid_requests_copies', [
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
