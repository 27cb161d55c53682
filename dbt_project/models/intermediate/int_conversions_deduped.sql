{{ config(materialized='view') }}

{{ adx.accepted_events('int_conversions_classified', [
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
