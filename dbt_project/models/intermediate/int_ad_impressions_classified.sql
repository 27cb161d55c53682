{{ config(materialized='view') }}

{{ adx.classified_events('stg_ad_impressions', 'int_ad_impressions_copies', [
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
