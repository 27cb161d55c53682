{#- Incremental builds replace whole touched days.

    A day is touched for an entity when a raw row of that entity, or of anything it is folded
    from, was added or taken out since the last completed build. `int_touched_days` lists the
    days; the macros here read it. A model recomputes its touched days completely, so a build may
    be repeated or may touch too much without changing a figure. -#}

{% macro builds_touched_days() -%}
  {#- is_incremental() with an override, so that both branches compile without a server. -#}
  {%- if var('adx_incremental') == 'always' -%}
    {{ return(true) }}
  {%- elif var('adx_incremental') == 'never' or (execute and not this) -%}
    {#- In a unit test there is no table. -#}
    {{ return(false) }}
  {%- else -%}
    {{ return(is_incremental()) }}
  {%- endif -%}
{%- endmacro %}

{#- Is `date` a touched day of `entity`? -#}
{% macro is_touched(entity, date) -%}
  {{ date }} in (
    select touched.touched_date
    from {{ ref('int_touched_days') }} as touched
    where touched.entity = '{{ entity }}'
  )
{%- endmacro %}

{#- The same as a condition that an incremental build has and a full one has not. -#}
{% macro is_touched_if_incremental(entity, date) -%}
  {%- if adx.builds_touched_days() %}{{ adx.is_touched(entity, date) }}{% endif -%}
{%- endmacro %}

{#- Is `date` at most `before` days before or `after` days after a touched day of `entity`? -#}
{% macro is_near_touched(entity, date, before=none, after=none) -%}
  {%- set before = var('adx_lookback_days') if before is none else before -%}
  {%- set after = var('adx_lookback_days') if after is none else after -%}
  {{ date }} in (
    select {{ adx.add_days('touched.touched_date', 'shift.days') }}
    from {{ ref('int_touched_days') }} as touched
    cross join ({{ adx.numbers(-before, after) }}) as shift
    where touched.entity = '{{ entity }}'
  )
{%- endmacro %}

{#- A relation with one integer column: first, ..., last. -#}
{% macro numbers(first, last, column='days') -%}
  {%- for number in range(first, last + 1) %}select {{ number }} as {{ column }}{% if not loop.last %} union all {% endif %}{% endfor -%}
{%- endmacro %}

{#- Pre-hook of every incremental model: takes the touched days out of the table. dbt's own
    delete+insert and insert_overwrite take out only days that have new rows, and would leave the
    rows of a day whose last event moved away or was removed. It runs in the model's transaction
    where the engine has transactions. -#}
{% macro clear_touched_days(entity, date_column) -%}
  {%- if execute and adx.builds_touched_days() -%}
    {{ return(adapter.dispatch('clear_touched_days', 'adx')(entity, date_column)) }}
  {%- endif -%}
{%- endmacro %}
{% macro default__clear_touched_days(entity, date_column) -%}
  delete from {{ this }} where {{ adx.is_touched(entity, date_column) }}
{%- endmacro %}
{% macro spark__clear_touched_days(entity, date_column) -%}
  {%- set days = run_query("select distinct touched_date from " ~ ref('int_touched_days') ~ " where entity = '" ~ entity ~ "'") -%}
  {%- for day in days.columns[0].values() -%}
    {%- do run_query("alter table " ~ this ~ " drop if exists partition (" ~ date_column ~ " = '" ~ day ~ "')") -%}
  {%- endfor -%}
{%- endmacro %}

{#- Config of a model that is rebuilt by touched days. `date_column` is its last column, as Spark
    wants of a partition column. -#}
{% macro touched_days_config(entity, date_column) -%}
  {#- Named here for dbt's graph: at parse time only the full branch of a model is rendered. Not
      later, so that a unit test need not give a table that the full branch does not read. -#}
  {%- if not execute %}
    {%- do ref('int_touched_days') -%}
    {%- for relation in adx.sliced_by(model.name) %}{% do ref(relation) %}{% endfor -%}
  {%- endif -%}
  {{ config(
      materialized='incremental',
      incremental_strategy={'spark': 'insert_overwrite', 'duckdb': 'touched_days'}.get(target.type, 'delete+insert'),
      unique_key=date_column if target.type == 'redshift' else none,
      on_schema_change='append_new_columns',
      partition_by=[date_column] if target.type == 'spark' else none,
      file_format='parquet' if target.type == 'spark' else none,
      dist=adx.redshift_dist(model.name) if target.type == 'redshift' else none,
      sort=[date_column] if target.type == 'redshift' else none,
      pre_hook="{{ adx.clear_touched_days('" ~ entity ~ "', '" ~ date_column ~ "') }}",
  ) }}
{%- endmacro %}
