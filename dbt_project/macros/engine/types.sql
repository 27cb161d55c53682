{#- Types whose names differ. Text is unbounded where the engine has such a type: a cast to a short
    varchar would cut ids silently. -#}
{% macro type_text() -%}{{ return(adapter.dispatch('type_text', 'adx')()) }}{%- endmacro %}
{% macro default__type_text() -%}varchar{%- endmacro %}
{% macro redshift__type_text() -%}varchar(65535){%- endmacro %}
{% macro spark__type_text() -%}string{%- endmacro %}

{% macro as_text(expression) -%}cast({{ expression }} as {{ adx.type_text() }}){%- endmacro %}
{% macro as_bigint(expression) -%}cast({{ expression }} as bigint){%- endmacro %}
{% macro as_timestamp(expression) -%}cast({{ expression }} as timestamp){%- endmacro %}
{% macro as_boolean(expression) -%}cast({{ expression }} as boolean){%- endmacro %}
{% macro as_date(expression) -%}cast({{ expression }} as date){%- endmacro %}

{#- Binary floats of 64 bits, for weights that have no exact form. Never money. -#}
{% macro type_double() -%}{{ return(adapter.dispatch('type_double', 'adx')()) }}{%- endmacro %}
{% macro default__type_double() -%}double{%- endmacro %}
{% macro redshift__type_double() -%}double precision{%- endmacro %}
