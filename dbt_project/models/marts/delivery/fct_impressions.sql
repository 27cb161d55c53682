{{ adx.touched_days_config('impression', 'impression_date') }}

with

{%- for name, table, condition in [
    ('notices', 'bid_notices', "notices.notice_type in ('win', 'billing')"),
    ('events', 'ad_impressions', none),
    ('responses', 'bid_responses', 'responses.bid_id is not null'),
] %}

{{ name }} as {{ adx.read_twice() }}(

    select {{ adx.with_bid_group(name) }}
    from {{ ref('int_' ~ table ~ '_deduped') }} as {{ name }}
    where {{ adx.all_of([condition, adx.is_near_built('impression', name ~ '.event_date')]) }}

),
{%- endfor %}

{{ adx.fold_bids('impression', 'notices', 'events', 'responses') }},

impressions as (

    select
        bids.*,
        case
            when bids.billing_price_cpm_micros is not null
                then coalesce(bids.billing_currency, bids.win_currency)
            else bids.win_currency
        end as charged_currency,
        coalesce(bids.billing_price_cpm_micros, bids.win_price_cpm_micros) as charged_price_cpm_micros
    from folded_bids as bids
    where {{ adx.all_of([adx.is_built('impression', 'bids.impression_date')]) }}

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
