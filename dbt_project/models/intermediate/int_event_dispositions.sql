{{ config(materialized='view') }}

{%- set streams = {
    'bid_requests': 'bid_requests',
    'bid_responses': 'bid_requests',
    'bid_notices': 'bid_requests',
    'ad_impressions': 'ad_impressions',
    'clicks': 'clicks_conversions',
    'conversions': 'clicks_conversions',
} %}
{%- for table, stream in streams.items() %}
select
    {{ adx.as_text("'" ~ stream ~ "'") }} as stream,
    classified.record_type,
    classified.topic_id,
    classified.partition_id,
    classified.kafka_offset,
    classified.kafka_timestamp,
    {% if stream == 'clicks_conversions' %}{{ adx.as_text('null') }}{% else %}classified.exchange_id{% endif %} as exchange_id,
    classified.disposition,
    classified.event_id,
    classified.event_time,
    classified.is_late,
    classified.load_id,
    classified.event_date
from {{ ref('int_' ~ table ~ '_classified') }} as classified
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
