{{ config(materialized='view') }}

{{ adx.classified_events('stg_bid_notices', 'int_bid_notices_copies', [
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
