{#- Where rows have expired, a full refresh would make old days of what is left of their rows, and lose
    the others. So an incremental model is then not made anew from nothing: int_changed_loads asks for
    all days, and those from int_rebuild_limit on are. Takes the place of dbt's macro of this name. -#}
{% macro should_full_refresh() -%}
  {%- set configured = config.get('full_refresh') -%}
  {%- set asked = flags.FULL_REFRESH if configured is none else configured -%}
  {%- if asked and config.get('materialized') == 'incremental' and adx.has_expired_rows() -%}
    {{ return(false) }}
  {%- endif -%}
  {{ return(asked) }}
{%- endmacro %}

{% macro has_expired_rows() -%}
  {%- if not execute -%}{{ return(false) }}{%- endif -%}
  {%- set found = run_query('select count(*) from control.retention') -%}
  {{ return(found.columns[0].values()[0] > 0) }}
{%- endmacro %}
