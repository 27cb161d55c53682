{#- Where DuckDB builds all days of a model, a large one goes by slices of days, each in a statement of its
    own: what a statement joins then fits into memory. Ten million impressions in one statement took twice
    as long, as most of it went to disk (measured 2026-11 with 3 GB).

    The SQL of such a model asks `is_built` and `is_near_built` where others ask for touched days. Nothing
    but a row's day decides in which slice it is built, so every choice of slices makes the same rows; as
    in builds of touched days, what belongs together is looked for `adx_lookback_days` around. -#}

{#- What a model that is built by slices reads most: relations and their dates. None for other models. -#}
{% macro sliced_by(model_name) -%}
  {%- set events_of_bids = {
      'stg_bid_notices': 'event_date', 'stg_ad_impressions': 'event_date', 'stg_bid_responses': 'event_date',
  } -%}
  {%- set relations = {'fct_impressions': events_of_bids} -%}
  {{ return(relations.get(model_name, {}) if target.type == 'duckdb' else {}) }}
{%- endmacro %}

{#- Is `date` a day that the statement builds? No condition where it builds all of them. -#}
{% macro is_built(entity, date) -%}
  {%- if adx.builds_touched_days() -%}
    {{ adx.is_touched(entity, date) }}
  {%- elif target.type == 'duckdb' -%}
    {{ date }} between {{ adx.slice_edge('first') }} and {{ adx.slice_edge('last') }}
  {%- endif -%}
{%- endmacro %}

{#- Is `date` at most `adx_lookback_days` before or after such a day? -#}
{% macro is_near_built(entity, date) -%}
  {%- if adx.builds_touched_days() -%}
    {{ adx.is_near_touched(entity, date) }}
  {%- elif target.type == 'duckdb' -%}
    {{ date }} between {{ adx.add_days(adx.slice_edge('first'), -var('adx_lookback_days')) }}
        and {{ adx.add_days(adx.slice_edge('last'), var('adx_lookback_days')) }}
  {%- endif -%}
{%- endmacro %}

{#- The first or last day of the slice; where none is set, of all days. -#}
{% macro slice_edge(edge) -%}
  coalesce(getvariable('adx_{{ edge }}_date'), cast('{{ adx.all_days()[edge] }}' as date))
{%- endmacro %}
{% macro all_days() -%}{{ return({'first': '0001-01-01', 'last': '9999-12-31'}) }}{%- endmacro %}

{#- The slices of a model: first and last date of each. Together they hold every date. -#}
{% macro slices(model_name) -%}
  {%- set counted -%}
    select days.day, count(*) as day_rows
    from (
      {%- for relation, date in adx.sliced_by(model_name).items() %}
      select {{ date }} as day from {{ ref(relation) }}{% if not loop.last %} union all{% endif %}
      {%- endfor %}
    ) as days
    group by days.day
    order by days.day
  {%- endset -%}
  {%- set slices = [adx.all_days()] -%}
  {%- set filled = namespace(rows=0) -%}
  {%- for day, day_rows in run_query(counted).rows -%}
    {%- if filled.rows > 0 and filled.rows + day_rows > var('adx_slice_rows') -%}
      {%- set before = slices.pop() -%}
      {%- do slices.append({'first': before['first'], 'last': (day - modules.datetime.timedelta(days=1)).isoformat()}) -%}
      {%- do slices.append({'first': day.isoformat(), 'last': before['last']}) -%}
      {%- set filled.rows = 0 -%}
    {%- endif -%}
    {%- set filled.rows = filled.rows + day_rows -%}
  {%- endfor -%}
  {{ return(slices) }}
{%- endmacro %}

{#- Create a table of what a query gives for each slice, in the transaction that is open. -#}
{% macro create_by_slices(relation, query) -%}
  {%- for slice in adx.slices(model['name']) -%}
    {%- set is_first = loop.first -%}
    {%- for edge, date in slice.items() -%}
      {%- call statement('set_' ~ edge) -%}
        set variable adx_{{ edge }}_date = cast('{{ date }}' as date)
      {%- endcall -%}
    {%- endfor -%}
    {%- call statement('main') -%}
      {%- if is_first -%}
        {{- create_table_as(False, relation, query) }}
      {%- else -%}
        insert into {{ relation }} by name (
          {{ query }}
        )
      {%- endif -%}
    {%- endcall -%}
  {%- endfor -%}
  {#- The connection goes on to other models. -#}
  {%- for edge in adx.all_days() -%}
    {%- call statement('reset_' ~ edge) -%}reset variable adx_{{ edge }}_date{%- endcall -%}
  {%- endfor -%}
{%- endmacro %}
