{#- A model by touched days on DuckDB: the pre-hook has taken the days out, and their new rows go straight
    into the table, in the same transaction. So do rows that are appended. dbt's own way writes them to
    another table first, reads the catalog five times for columns that have not changed, and deletes the
    days once more: fourteen statements for each of 33 models. A table whose columns are not the model's
    any more, and every other strategy, goes dbt's way. -#}
{% materialization incremental, adapter='duckdb', supported_languages=['sql', 'python'] %}
  {%- if config.get('incremental_strategy') not in ('touched_days', 'append') -%}
    {{ return(dbt.materialization_incremental_duckdb()) }}
  {%- endif -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- if existing is none or not existing.is_table or should_full_refresh() -%}
    {{ return(adx.materialization_table_duckdb()) }}
  {%- endif -%}
  {%- set columns = adx.unchanged_columns(existing, sql) -%}
  {%- if columns is none -%}
    {{ return(dbt.materialization_incremental_duckdb()) }}
  {%- endif -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- call statement('main') -%}
    insert into {{ existing }} ({{ columns }}) (
      select {{ columns }} from (
        {{ sql }}
      ) as new_rows
    )
  {%- endcall -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [existing]}) }}
{% endmaterialization %}

{#- The names of a query's columns, if the relation has the same ones with the same types; otherwise none. -#}
{% macro unchanged_columns(relation, query) -%}
  {%- set ours = dict() -%}
  {%- for column in get_column_schema_from_query('select * from ' ~ relation) -%}
    {%- do ours.update({column.name: column.dtype}) -%}
  {%- endfor -%}
  {%- set theirs = dict() -%}
  {%- for column in get_column_schema_from_query(query) -%}
    {%- do theirs.update({column.name: column.dtype}) -%}
  {%- endfor -%}
  {{ return(theirs | map('tojson') | join(', ') if ours == theirs else none) }}
{%- endmacro %}

{#- Where dbt's own way inserts: the days were taken out before. -#}
{% macro get_incremental_touched_days_sql(arguments) -%}
  {{ return(get_insert_into_sql(arguments.target_relation, arguments.temp_relation, arguments.dest_columns)) }}
{%- endmacro %}
