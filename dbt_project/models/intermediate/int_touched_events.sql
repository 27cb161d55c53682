{{ config(materialized='table', dist='even') }}

{%- set lookback = var('adx_lookback_days') -%}
{%- set keys = [
    'exchange_id', 'request_id', 'imp_id', 'bid_id', 'impression_id', 'user_id', 'advertiser_id'
] -%}
{%- set tables = {
    'bid_requests': ['exchange_id', 'request_id', 'user_id'],
    'bid_responses': ['exchange_id', 'request_id', 'imp_id', 'bid_id', 'advertiser_id'],
    'bid_notices': ['exchange_id', 'request_id', 'imp_id', 'bid_id', 'advertiser_id'],
    'ad_impressions': keys,
    'clicks': ['impression_id', 'user_id', 'advertiser_id'],
    'conversions': ['impression_id', 'user_id', 'advertiser_id'],
} -%}

-- Empty when everything is to be rebuilt: int_touched_days then lists all days, without asking what
-- each of millions of events touches (of the time of a first build that was a tenth).
with removed as (

    select removed_rows.*
    from {{ ref('stg_removed_rows') }} as removed_rows
    cross join {{ ref('int_changed_loads') }} as loads
    where removed_rows.load_id > loads.from_load_id
        and loads.from_load_id >= 0

)

{%- for table, present in tables.items() %},

{{ table }}_changed as (

    select rows_of_table.event_id, rows_of_table.event_date
    from {{ ref('stg_' ~ table) }} as rows_of_table
    cross join {{ ref('int_changed_loads') }} as loads
    where rows_of_table.load_id > loads.from_load_id
        and loads.from_load_id >= 0
    union
    select removed.event_id, removed.event_date
    from removed
    where removed.table_name = '{{ table }}'

),

{#- A new copy may take the win from an older one, so all copies of a changed event are touched. #}
{{ table }}_touched as (

    select rows_of_table.*
    from {{ ref('stg_' ~ table) }} as rows_of_table
    where rows_of_table.event_id in (select changed.event_id from {{ table }}_changed as changed)
        and rows_of_table.event_date in (
            select {{ adx.add_days('changed_days.event_date', 'shift.days') }}
            from (select distinct changed.event_date from {{ table }}_changed as changed) as changed_days
            cross join ({{ adx.numbers(-lookback, lookback) }}) as shift
        )

)
{%- endfor %}

{% for table, present in tables.items() %}
select
    {{ adx.as_text("'" ~ table ~ "'") }} as table_name,
    touched.event_date,
    cast(touched.kafka_timestamp as date) as arrival_date,
    {%- for key in keys %}
    {% if key in present %}touched.{{ key }}{% else %}{{ adx.as_text('null') }} as {{ key }}{% endif %}{% if not loop.last %},{% endif %}
    {%- endfor %}
from {{ table }}_touched as touched
union
{% endfor %}
select
    removed.table_name,
    removed.event_date,
    {#- The offset came again in the same load, at the time at which it arrived. #}
    cast(null as date) as arrival_date,
    {%- for key in keys %}
    removed.{{ key }}{% if not loop.last %},{% endif %}
    {%- endfor %}
from removed
