{{ adx.touched_days_config('bid_notices', 'event_date') }}

{{ adx.classify_events('stg_bid_notices', 'bid_notices', [
    'exchange_id',
    'request_id',
    'imp_id',
    'bid_id',
    'campaign_id',
    'creative_id',
    'advertiser_id',
    'price_cpm_micros',
    'currency',
    'notice_type',
    'loss_reason',
    'min_to_win_cpm_micros',
]) }}
