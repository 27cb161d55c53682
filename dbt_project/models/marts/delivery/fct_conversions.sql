{{ adx.touched_days_config('conversions', 'conversion_date') }}

with conversions as (

    select
        deduped.*,
        advertisers.currency as advertiser_currency,
        case
            when deduped.currency = advertisers.currency then cast(1 as {{ adx.type_rate() }})
            else rates.rate
        end as rate
    from {{ ref('int_conversions_deduped') }} as deduped
    left join {{ ref('stg_advertisers') }} as advertisers
        on deduped.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_fx_rates') }} as rates
        on rates.rate_date = cast(deduped.event_time as date)
        and rates.from_currency = deduped.currency
        and rates.to_currency = advertisers.currency
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('conversions', 'deduped.event_date') }}
    {%- endif %}

)

select
    conversions.event_id,
    conversions.order_id,
    conversions.conversion_type,
    conversions.click_id,
    conversions.impression_id,
    conversions.advertiser_id,
    conversions.user_id,
    coalesce(conversions.has_consent, false) as has_consent,
    coalesce(conversions.is_givt, false) as is_givt,
    conversions.event_time as converted_at,
    conversions.value_micros,
    conversions.currency as value_currency,
    {{ adx.convert_micros('conversions.value_micros', 'conversions.rate') }} as revenue_micros,
    conversions.advertiser_currency as currency,
    coalesce(conversions.is_late, false) as is_late,
    conversions.load_id,
    conversions.event_date as conversion_date
from conversions
