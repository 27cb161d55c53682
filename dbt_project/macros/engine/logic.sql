{#- Aggregates and keys in the SQL that all engines share. -#}

{#- True if the condition is true for at least one row of the group; null counts as false. -#}
{% macro any_true(condition) -%}(max(case when {{ condition }} then 1 else 0 end) = 1){%- endmacro %}

{#- The value of `expression` on the one row of the group for which `condition` holds. -#}
{% macro value_where(expression, condition) -%}max(case when {{ condition }} then {{ expression }} end){%- endmacro %}

{#- One text key of several columns. The unit separator keeps ('a','bc') apart from ('ab','c'). -#}
{% macro surrogate_key(columns) -%}
  md5({% for column in columns %}{% if not loop.first %} || chr(31) || {% endif %}coalesce({{ column }}, ''){% endfor %})
{%- endmacro %}

{#- Equality of the four ids that name one bid: an OpenRTB id alone is unique neither in time nor
    across exchanges. -#}
{% macro bid_key() -%}{{ return(['exchange_id', 'request_id', 'imp_id', 'bid_id']) }}{%- endmacro %}
{% macro bid_key_columns(alias) -%}
  {%- for column in adx.bid_key() %}{{ alias }}.{{ column }}{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}
{% macro same_bid(left, right) -%}
  {%- for column in adx.bid_key() %}{{ left }}.{{ column }} = {{ right }}.{{ column }}{% if not loop.last %} and {% endif %}{% endfor -%}
{%- endmacro %}
