{#- Schemas are exactly staging, intermediate and marts (plus an optional prefix):
    readers and grants name them, so they must not depend on who builds. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if custom_schema_name is none -%}
    {{ target.schema }}
  {%- else -%}
    {{ var('adx_schema_prefix') }}{{ custom_schema_name | trim }}
  {%- endif -%}
{%- endmacro %}
