{#- The measures of a campaign, in the one order that every model uses. -#}
{% macro campaign_measure_names() -%}
  {{ return([
      'wins', 'billed_impressions', 'gross_impressions', 'net_impressions',
      'measurable_impressions', 'viewable_impressions', 'gross_clicks', 'net_clicks',
      'conversions', 'post_click_conversions', 'spend_micros', 'revenue_micros',
  ]) }}
{%- endmacro %}

{#- Every measure as a bigint column: the expression given for it in `values`, or 0. -#}
{% macro campaign_measures(values) -%}
    {%- for measure in adx.campaign_measure_names() %}
    cast({{ values.get(measure, '0') }} as bigint) as {{ measure }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro summed_campaign_measures(alias) -%}
    {%- for measure in adx.campaign_measure_names() %}
    {{ adx.sum_bigint(alias ~ '.' ~ measure) }} as {{ measure }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro one_if(condition) -%}case when {{ condition }} then 1 else 0 end{%- endmacro %}
