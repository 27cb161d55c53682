{{ config(materialized='view') }}

{{ adx.classified_events('stg_clicks', 'int_clicks_copies', [
    'click_id',
    'impression_id',
    'advertiser_id',
    'campaign_id',
    'user_id',
    'landing_page',
    'device_type',
    'has_consent',
    'is_givt',
    'givt_reason',
]) }}
