{{ adx.touched_days_config('bid_responses', 'event_date') }}

{{ adx.classify_events('stg_bid_responses', 'bid_responses', [
    'exchange_id',
    'request_id',
    'imp_id',
    'bid_id',
    'campaign_id',
    'creative_id',
    'advertiser_id',
    'deal_id',
    'price_cpm_micros',
    'currency',
    'no_bid_reason',
    'latency_ms',
]) }}
