{#- A table on DuckDB is replaced within one transaction, under its own name. dbt's own way makes it under
    another name, looks for indexes, renames the old one, renames the new one and drops the old one after the
    commit: four statements more for each of twelve tables, and nothing here has an index or a foreign key. If the
    new rows break the contract, the transaction is taken back and the old table is there. -#}
{% materialization table, adapter='duckdb' %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- call statement('main') -%}
    {%- if existing is not none %}
    drop {{ existing.type }} {{ existing }};
    {%- endif %}
    {{ create_table_as(False, target_relation, sql) }}
  {%- endcall -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
