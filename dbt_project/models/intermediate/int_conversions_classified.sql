{{ config(materialized='view') }}

{{ adx.classified_events('stg_conversions', 'int_conversions_copies', [
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
