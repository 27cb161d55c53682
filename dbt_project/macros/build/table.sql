{#- A table on DuckDB is replaced within one transaction, under its own name. dbt's own way makes it under
    another name, looks for what hangs on the old one, renames the old one, renames the new one and drops the
    old one after the commit: three statements more for each of twelve tables, and nothing here has a foreign
    key. If the new rows break the contract, the transaction is taken back and the old table is there. -#}
{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
  {%- set language = model['language'] -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- if existing is not none -%}
    {%- call statement('drop_former') -%}
      drop {{ existing.type }} {{ existing }}
    {%- endcall -%}
  {%- endif -%}
  {%- if adx.sliced_by(model['name']) -%}
    {{ adx.create_by_slices(target_relation, compiled_code) }}
  {%- else -%}
    {%- call statement('main', language=language) -%}
      {{- create_table_as(False, target_relation, compiled_code, language) }}
    {%- endcall -%}
  {%- endif -%}
  {%- do create_indexes(target_relation) -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do persist_docs(target_relation, model) -%}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
