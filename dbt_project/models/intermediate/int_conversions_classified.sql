{{ adx.touched_days_config('conversions', 'event_date') }}

{{ adx.classify_events('stg_conversions', 'conversions', [
    'click_id',
    'impression_id',
    'advertiser_id',
    'order_id',
    'conversion_type',
    'value_micros',
    'currency',
    'user_id',
    'has_consent',
    'is_givt',
]) }}
