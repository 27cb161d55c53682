{{ adx.touched_days_config('clicks', 'event_date') }}

{{ adx.classify_events('stg_clicks', 'clicks', [
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
