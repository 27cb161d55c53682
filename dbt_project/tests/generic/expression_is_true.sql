{#- An identity that every row keeps; null counts as broken. Looks at rebuilt days, see
    unique_combination. -#}
{% test expression_is_true(model, expression, entity=none, date_column=none) %}
select *
from {{ model }}
where (case when {{ expression }} then 1 else 0 end) = 0
{%- if entity %}
    and {{ adx.is_touched(entity, date_column) }}
{%- endif %}
{% endtest %}
