{{ config(materialized='view') }}

-- The two campaign aggregates sum these rows, by UTC hour and by local day. source_date is the
-- partition column of the fact that a row comes from, to prune by.
select
    impressions.campaign_id,
    impressions.advertiser_id,
    impressions.won_at as happened_at,
    impressions.impression_date as source_date,
    {{- adx.campaign_measures({'wins': '1'}) }},
    impressions.load_id
from {{ ref('fct_impressions') }} as impressions
where impressions.won_at is not null
union all
select
    impressions.campaign_id,
    impressions.advertiser_id,
    impressions.billed_at as happened_at,
    impressions.impression_date as source_date,
    {{- adx.campaign_measures({'billed_impressions': '1', 'spend_micros': 'coalesce(impressions.spend_micros, 0)'}) }},
    impressions.load_id
from {{ ref('fct_impressions') }} as impressions
where impressions.billed_at is not null
union all
select
    impressions.campaign_id,
    impressions.advertiser_id,
    impressions.rendered_at as happened_at,
    impressions.impression_date as source_date,
    {{- adx.campaign_measures({
        'gross_impressions': '1',
        'net_impressions': adx.one_if('not impressions.is_givt'),
        'measurable_impressions': adx.one_if('not impressions.is_givt and impressions.measurable_at is not null'),
        'viewable_impressions': adx.one_if('not impressions.is_givt and impressions.viewable_at is not null'),
    }) }},
    impressions.load_id
from {{ ref('fct_impressions') }} as impressions
where impressions.rendered_at is not null
union all
select
    clicks.campaign_id,
    clicks.advertiser_id,
    clicks.clicked_at as happened_at,
    clicks.click_date as source_date,
    {{- adx.campaign_measures({'gross_clicks': '1', 'net_clicks': adx.one_if('not clicks.is_givt')}) }},
    clicks.load_id
from {{ ref('fct_clicks') }} as clicks
union all
select
    attribution.campaign_id,
    attribution.advertiser_id,
    attribution.converted_at as happened_at,
    attribution.conversion_date as source_date,
    {{- adx.campaign_measures({
        'conversions': '1',
        'post_click_conversions': adx.one_if("attribution.touch_type = 'click'"),
        'revenue_micros': 'coalesce(attribution.credited_revenue_micros, 0)',
    }) }},
    attribution.load_id
from {{ ref('fct_attribution') }} as attribution
where attribution.model = 'last_touch'
