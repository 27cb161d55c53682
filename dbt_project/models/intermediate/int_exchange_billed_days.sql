{{ adx.touched_days_config('campaign', 'billed_date') }}

with billed as (

    select
        impressions.exchange_id,
        coalesce(impressions.billed_currency, {{ adx.no_currency() }}) as currency,
        impressions.billed_price_cpm_micros,
        impressions.load_id,
        cast(impressions.billed_at as date) as billed_date
    from {{ ref('fct_impressions') }} as impressions
    where impressions.billed_at is not null
    {%- if adx.builds_touched_days() %}
        and {{ adx.is_near_touched('campaign', 'impressions.impression_date') }}
    {%- endif %}

)

select
    billed.exchange_id,
    billed.currency,
    {{ adx.count_bigint() }} as billed_impressions,
    {{ adx.count_bigint('billed.billed_price_cpm_micros') }} as priced_impressions,
    {{ adx.sum_bigint('coalesce(billed.billed_price_cpm_micros, 0)') }} as price_cpm_micros,
    max(billed.load_id) as load_id,
    billed.billed_date
from billed
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('campaign', 'billed.billed_date') }}
{%- endif %}
group by billed.exchange_id, billed.currency, billed.billed_date
