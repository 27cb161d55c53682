{{ adx.touched_days_config('impression', 'impression_date') }}

with impressions as (

    select
        correlated.*,
        case
            when correlated.billing_price_cpm_micros is not null
                then coalesce(correlated.billing_currency, correlated.win_currency)
            else correlated.win_currency
        end as charged_currency,
        coalesce(correlated.billing_price_cpm_micros, correlated.win_price_cpm_micros) as charged_price_cpm_micros
    from {{ ref('int_impressions_correlated') }} as correlated
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('impression', 'correlated.impression_date') }}
    {%- endif %}

),

priced as (

    select
        impressions.*,
        advertisers.currency as advertiser_currency,
        case
            when impressions.charged_currency = advertisers.currency then cast(1 as {{ adx.type_rate() }})
            else rates.rate
        end as rate
    from impressions
    left join {{ ref('stg_advertisers') }} as advertisers
        on impressions.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_fx_rates') }} as rates
        on rates.rate_date = cast(impressions.billed_at as date)
        and rates.from_currency = impressions.charged_currency
        and rates.to_currency = advertisers.currency

)

select
    {{ adx.surrogate_key([
        'priced.exchange_id', 'priced.request_id', 'priced.imp_id', 'priced.bid_id'
    ]) }} as impression_key,
    priced.exchange_id,
    priced.request_id,
    priced.imp_id,
    priced.bid_id,
    priced.impression_id,
    priced.rendered_event_id,
    coalesce(priced.advertiser_id, 'unknown') as advertiser_id,
    coalesce(priced.campaign_id, 'unknown') as campaign_id,
    priced.creative_id,
    priced.deal_id,
    priced.publisher_id,
    priced.site_domain,
    priced.app_bundle,
    priced.placement_id,
    priced.geo_country,
    priced.device_type,
    priced.user_id,
    priced.has_consent,
    priced.is_givt,
    priced.givt_reason,
    priced.bid_at,
    priced.won_at,
    priced.billed_at,
    priced.rendered_at,
    priced.measurable_at,
    priced.viewable_at,
    priced.bid_price_cpm_micros,
    priced.bid_currency,
    case when priced.billed_at is not null then priced.charged_price_cpm_micros end as billed_price_cpm_micros,
    case when priced.billed_at is not null then priced.charged_currency end as billed_currency,
    case when priced.billed_at is not null
        then {{ adx.price_of_one_micros('priced.charged_price_cpm_micros', 'priced.rate') }}
    end as spend_micros,
    priced.advertiser_currency as currency,
    priced.has_response,
    priced.is_late,
    priced.notice_load_id,
    priced.load_id,
    priced.impression_date
from priced
