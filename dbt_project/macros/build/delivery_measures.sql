{#- What counts for a campaign, with what the impression says about where it happened. Clicks and
    conversions take that from their impression; what nobody knows is 'unknown'.

    Not a view: a build must be able to prune the impressions that clicks and conversions look up. -#}
{% macro delivery_dimensions() -%}
  {{ return([
      'campaign_id', 'advertiser_id', 'exchange_id', 'creative_id', 'publisher_id', 'placement_id',
      'geo_country', 'device_type',
  ]) }}
{%- endmacro %}

{#- Two CTEs, the second one `happened`. `around`: how many days before and after a touched day of
    `entity` a happening may lie. -#}
{% macro delivery_measures(entity, around=0) -%}
{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}
-- What has its impression looked up, all of it at once: each time the keys of a month are read. seen_date is
-- that of the touch, which lies as far back as an advertiser's window reaches.
actions as {{ adx.read_twice() }}(

    select
        clicks.campaign_id,
        clicks.advertiser_id,
        clicks.impression_key,
        clicks.click_date as seen_date,
        clicks.device_type,
        clicks.clicked_at as happened_at,
        {{- adx.campaign_measures({'gross_clicks': '1', 'net_clicks': adx.one_if('not clicks.is_givt')}) }},
        clicks.load_id
    from {{ ref('fct_clicks') }} as clicks
    {%- if incremental %}
    where {{ adx.is_near_touched(entity, 'clicks.click_date', before=around, after=around) }}
    {%- endif %}
    union all
    select
        attribution.campaign_id,
        attribution.advertiser_id,
        attribution.impression_key,
        cast(attribution.touched_at as date) as seen_date,
        {{ adx.as_text('null') }} as device_type,
        attribution.converted_at as happened_at,
        {{- adx.campaign_measures({
            'conversions': '1',
            'post_click_conversions': adx.one_if("attribution.touch_type = 'click'"),
            'revenue_micros': 'coalesce(attribution.credited_revenue_micros, 0)',
        }) }},
        attribution.load_id
    from {{ ref('fct_attribution') }} as attribution
    where attribution.model = 'last_touch'
    {%- if incremental %}
        and {{ adx.is_near_touched(entity, 'attribution.conversion_date', before=around, after=around) }}
    {%- endif %}

),

happened as (
    {% for time, values, condition, distance, for_each_moment in adx.impression_moments() %}
    select
        {%- for dimension in adx.delivery_dimensions() %}
        coalesce(impressions.{{ dimension }}, 'unknown') as {{ dimension }},
        {%- endfor %}
        {{ time }} as happened_at,
        {{- adx.campaign_measures(values) }},
        impressions.load_id
    from {{ ref('fct_impressions') }} as impressions
    {%- if for_each_moment %}
    cross join (
        {%- for moment in adx.moments() %}
        select {{ adx.as_text("'" ~ moment ~ "'") }} as moment{% if not loop.last %} union all{% endif %}
        {%- endfor %}
    ) as moments
    {%- endif %}
    where {{ condition }}
    {%- if incremental %}
        and {{ adx.is_near_touched(entity, 'impressions.impression_date', before=around + distance, after=around + distance) }}
    {%- if distance %}
        and {{ adx.is_near_touched(entity, 'cast(' ~ time ~ ' as date)', before=around, after=around) }}
    {%- endif %}
    {%- endif %}
    union all
    {%- endfor %}
    select
        actions.campaign_id,
        actions.advertiser_id,
        {%- for dimension in adx.delivery_dimensions() if dimension not in ['campaign_id', 'advertiser_id', 'device_type'] %}
        coalesce(impressions.{{ dimension }}, 'unknown') as {{ dimension }},
        {%- endfor %}
        coalesce(impressions.device_type, actions.device_type, 'unknown') as device_type,
        actions.happened_at,
        {%- for measure in adx.campaign_measure_names() %}
        actions.{{ measure }},
        {%- endfor %}
        actions.load_id
    from actions
    left join {{ ref('fct_impressions') }} as impressions
        on actions.impression_key = impressions.impression_key
        and impressions.impression_date between {{ adx.add_days('actions.seen_date', -lookback) }}
            and {{ adx.add_days('actions.seen_date', lookback) }}
        {%- if incremental %}
        and impressions.impression_date in (
            select {{ adx.add_days('days.seen_date', 'shift.days') }}
            from (select distinct actions.seen_date from actions) as days
            cross join ({{ adx.numbers(-lookback, lookback) }}) as shift
        )
        {%- endif %}

)
{%- endmacro %}

{#- The measures of the two delivery aggregates, from the campaign's. -#}
{% macro delivery_measures_of(alias) -%}
    {%- for measure in adx.campaign_measure_names() %}
    {%- if measure == 'net_impressions' %}
    {{ alias }}.gross_impressions - {{ alias }}.net_impressions as givt_impressions,
    {%- elif measure == 'spend_micros' %}
    {{ alias }}.conversions - {{ alias }}.post_click_conversions as post_view_conversions,
    {%- endif %}
    {{ alias }}.{{ measure }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
