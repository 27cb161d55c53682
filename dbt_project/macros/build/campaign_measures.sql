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

{#- The sums of rows of which each has 1 or 0 for a measure that is no amount. They are counted, as what a
    group keeps of a sum is wider than what it keeps of a count: an eighth less time for eight million groups
    of ten such measures (measured 2026-11 on DuckDB). -#}
{% macro counted_campaign_measures(alias) -%}
    {%- for measure in adx.campaign_measure_names() %}
    {%- if measure.endswith('_micros') %}
    {{ adx.sum_bigint(alias ~ '.' ~ measure) }}
    {%- else %}
    {{ adx.count_bigint('case when ' ~ alias ~ '.' ~ measure ~ ' = 1 then 1 end') }}
    {%- endif %} as {{ measure }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro summed_campaign_measures(alias) -%}
    {%- for measure in adx.campaign_measure_names() %}
    {{ adx.sum_bigint(alias ~ '.' ~ measure) }} as {{ measure }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro one_if(condition) -%}case when {{ condition }} then 1 else 0 end{%- endmacro %}

{#- What an impression counts, and when: two kinds of rows over `impressions`, of time, measures, condition, at
    how many days from the impression's date, and whether there is one for each of `moments`.

    It is won, billed and rendered within a second or two, so nearly all of them are one row with all
    measures and not three: what sums them has a third of the rows (measured 2026-11). One minute, as
    neither hours nor offsets of time zones change within one. The others are read once, and not once for
    each moment. -#}
{% macro impression_moments() -%}
  {%- set first = 'coalesce(impressions.won_at, impressions.billed_at, impressions.rendered_at)' -%}
  {%- set minute = "date_trunc('minute', " ~ first ~ ")" -%}
  {%- set at_once -%}
    {{ first }} is not null
        and date_trunc('minute', coalesce(impressions.billed_at, {{ first }})) = {{ minute }}
        and date_trunc('minute', coalesce(impressions.rendered_at, {{ first }})) = {{ minute }}
  {%- endset -%}
  {%- set measures = [
      ('won_at', 'wins', '1'),
      ('billed_at', 'billed_impressions', '1'),
      ('billed_at', 'spend_micros', 'coalesce(impressions.spend_micros, 0)'),
      ('rendered_at', 'gross_impressions', '1'),
      ('rendered_at', 'net_impressions', adx.one_if('not impressions.is_givt')),
      ('rendered_at', 'measurable_impressions', adx.one_if('not impressions.is_givt and impressions.measurable_at is not null')),
      ('rendered_at', 'viewable_impressions', adx.one_if('not impressions.is_givt and impressions.viewable_at is not null')),
  ] -%}
  {%- set together = {} -%}
  {%- set apart = {} -%}
  {%- for time, measure, value in measures -%}
    {%- do together.update({measure: 'case when impressions.' ~ time ~ ' is not null then ' ~ value ~ ' else 0 end'}) -%}
    {%- do apart.update({measure: "case when moments.moment = '" ~ time ~ "' then " ~ value ~ ' else 0 end'}) -%}
  {%- endfor -%}
  {%- set time_apart -%}
    case moments.moment{% for time in adx.moments() %} when '{{ time }}' then impressions.{{ time }}{% endfor %} end
  {%- endset -%}
  {{ return([
      (first, together, at_once, 0, false),
      (time_apart, apart, 'not (' ~ at_once ~ ') and ' ~ time_apart ~ ' is not null', var('adx_lookback_days'), true),
  ]) }}
{%- endmacro %}
{% macro moments() -%}{{ return(['won_at', 'billed_at', 'rendered_at']) }}{%- endmacro %}
