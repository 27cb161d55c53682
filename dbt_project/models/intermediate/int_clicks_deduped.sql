{{ config(materialized='view') }}

{{ adx.accepted_events('int_clicks_classified', [
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
