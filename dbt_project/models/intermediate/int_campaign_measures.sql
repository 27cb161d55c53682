{{ config(materialized='view') }}

-- The two campaign aggregates sum these rows, by UTC hour and by local day. source_date is the
-- partition column of the fact that a row comes from, to prune by.
{%- for time, values, condition, _ in adx.impression_moments() %}
select
    impressions.campaign_id,
    impressions.advertiser_id,
    {{ time }} as happened_at,
    impressions.impression_date as source_date,
    {{- adx.campaign_measures(values) }},
    impressions.load_id
from {{ ref('fct_impressions') }} as impressions
where {{ condition }}
union all
{%- endfor %}
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
