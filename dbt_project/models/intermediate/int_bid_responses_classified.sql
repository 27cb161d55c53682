{{ config(materialized='view') }}

{{ adx.classified_events('stg_bid_responses', 'int_bid_responses_copies', [
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
