{{ adx.touched_days_config('ivt', 'event_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}
{%- set methods = {'list': 'list_givt', 'activity': 'activity_givt', 'score': 'sivt'} %}
{%- set dimensions = ['campaign_id', 'advertiser_id', 'exchange_id', 'publisher_id'] %}
{%- set measures = [] %}
{%- for kind in ['impressions', 'clicks'] %}
    {%- do measures.append('gross_' ~ kind) %}
    {%- for name in methods.values() %}{% do measures.append(name ~ '_' ~ kind) %}{% endfor %}
{%- endfor %}
{%- do measures.append('gross_spend_micros') %}
{%- for name in methods.values() %}{% do measures.append(name ~ '_spend_micros') %}{% endfor %}

-- What happened, and what of it was invalid, under one another: summed, they give all three levels.
with counted as (

    select
        impressions.campaign_id,
        impressions.advertiser_id,
        impressions.exchange_id,
        coalesce(impressions.publisher_id, 'unknown') as publisher_id,
        {%- for measure in measures %}
        {% if measure == 'gross_impressions' %}{{ adx.count_bigint() }}
        {%- elif measure == 'gross_spend_micros' %}{{ adx.sum_bigint('coalesce(impressions.spend_micros, 0)') }}
        {%- else %}cast(0 as bigint){% endif %} as {{ measure }},
        {%- endfor %}
        max(impressions.load_id) as load_id,
        cast(impressions.rendered_at as date) as event_date
    from {{ ref('fct_impressions') }} as impressions
    where impressions.rendered_at is not null
    {%- if incremental %}
        and {{ adx.is_near_touched('ivt', 'impressions.impression_date', before=lookback, after=lookback) }}
        and {{ adx.is_touched('ivt', 'cast(impressions.rendered_at as date)') }}
    {%- endif %}
    group by
        impressions.campaign_id,
        impressions.advertiser_id,
        impressions.exchange_id,
        coalesce(impressions.publisher_id, 'unknown'),
        cast(impressions.rendered_at as date)
    union all
    select
        clicks.campaign_id,
        clicks.advertiser_id,
        coalesce(clicks.exchange_id, 'unknown') as exchange_id,
        coalesce(clicks.publisher_id, 'unknown') as publisher_id,
        {%- for measure in measures %}
        {% if measure == 'gross_clicks' %}{{ adx.count_bigint() }}{% else %}cast(0 as bigint){% endif %} as {{ measure }},
        {%- endfor %}
        max(clicks.load_id) as load_id,
        clicks.click_date as event_date
    from {{ ref('fct_clicks') }} as clicks
    {%- if incremental %}
    where {{ adx.is_touched('ivt', 'clicks.click_date') }}
    {%- endif %}
    group by
        clicks.campaign_id,
        clicks.advertiser_id,
        coalesce(clicks.exchange_id, 'unknown'),
        coalesce(clicks.publisher_id, 'unknown'),
        clicks.click_date
    union all
    select
        {%- for dimension in dimensions %}
        invalid.{{ dimension }},
        {%- endfor %}
        cast(0 as bigint) as gross_impressions,
        {%- for method, name in methods.items() %}
        {{ adx.count_where("invalid.kind = 'impression' and invalid.ivt_method = '" ~ method ~ "'") }} as {{ name }}_impressions,
        {%- endfor %}
        cast(0 as bigint) as gross_clicks,
        {%- for method, name in methods.items() %}
        {{ adx.count_where("invalid.kind = 'click' and invalid.ivt_method = '" ~ method ~ "'") }} as {{ name }}_clicks,
        {%- endfor %}
        cast(0 as bigint) as gross_spend_micros,
        {%- for method, name in methods.items() %}
        {{ adx.sum_bigint("case when invalid.ivt_method = '" ~ method ~ "' then invalid.spend_micros else 0 end") }} as {{ name }}_spend_micros,
        {%- endfor %}
        max(invalid.load_id) as load_id,
        invalid.event_date
    from {{ ref('fct_invalid_traffic') }} as invalid
    {%- if incremental %}
    where {{ adx.is_touched('ivt', 'invalid.event_date') }}
    {%- endif %}
    group by
        {%- for dimension in dimensions %}
        invalid.{{ dimension }},
        {%- endfor %}
        invalid.event_date

),

summed as (

    select
        {%- for dimension in dimensions %}
        {{ adx.as_text('counted.' ~ dimension) }} as {{ dimension }},
        {%- endfor %}
        {%- for measure in measures %}
        {{ adx.sum_bigint('counted.' ~ measure) }} as {{ measure }},
        {%- endfor %}
        max(counted.load_id) as load_id,
        counted.event_date
    from counted
    group by
        {%- for dimension in dimensions %}
        counted.{{ dimension }},
        {%- endfor %}
        counted.event_date

)

select
    {%- for dimension in dimensions %}
    summed.{{ dimension }},
    {%- endfor %}
    {{ adx.as_text('coalesce(advertisers.currency, ' ~ adx.no_currency() ~ ')') }} as currency,
    {%- for kind in ['impressions', 'clicks', 'spend_micros'] %}
    summed.gross_{{ kind }},
    {%- for name in methods.values() %}
    summed.{{ name }}_{{ kind }},
    {%- endfor %}
    summed.gross_{{ kind }} - summed.list_givt_{{ kind }} - summed.activity_givt_{{ kind }} as givt_filtered_{{ kind }},
    summed.gross_{{ kind }} - summed.list_givt_{{ kind }} - summed.activity_givt_{{ kind }} - summed.sivt_{{ kind }} as net_{{ kind }},
    {%- endfor %}
    {{ adx.ratio('summed.gross_impressions - summed.list_givt_impressions - summed.activity_givt_impressions - summed.sivt_impressions', 'summed.gross_impressions') }} as valid_rate,
    summed.load_id,
    summed.event_date
from summed
left join {{ ref('stg_advertisers') }} as advertisers
    on summed.advertiser_id = advertisers.advertiser_id
