{#- Every value of `column` is null or exists in `field` of `to`. Looks at rebuilt days, see
    unique_combination. -#}
{% test values_exist_in(model, column, to, field, entity=none, date_column=none) %}
select child.{{ column }}
from {{ model }} as child
left join (select distinct {{ field }} as parent_value from {{ to }}) as parent
    on child.{{ column }} = parent.parent_value
where child.{{ column }} is not null
    and parent.parent_value is null
{%- if entity %}
    and {{ adx.is_touched(entity, 'child.' ~ date_column) }}
{%- endif %}
{% endtest %}
