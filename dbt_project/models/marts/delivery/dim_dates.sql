{{ config(materialized='table') }}

-- From 2020 to 2039, whatever the facts have: a day without any shows as such.
with days as (

    select
        {{ adx.add_days("cast('2020-01-01' as date)", 'ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit') }} as date_day
    from ({{ adx.numbers(0, 9, 'digit') }}) as ones
    cross join ({{ adx.numbers(0, 9, 'digit') }}) as tens
    cross join ({{ adx.numbers(0, 9, 'digit') }}) as hundreds
    cross join ({{ adx.numbers(0, 7, 'digit') }}) as thousands

)

select
    days.date_day,
    {%- for unit in ['week', 'month', 'quarter', 'year'] %}
    cast(date_trunc('{{ unit }}', days.date_day) as date) as {{ unit }}_start{% if not loop.last %},{% endif %}
    {%- endfor %}
from days
where days.date_day < cast('2040-01-01' as date)
