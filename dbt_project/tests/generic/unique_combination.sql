{#- The grain: no two rows share all of `columns`.

    With `entity` and `date_column` only the days that this build rebuilt are looked at: the others
    were tested when they were built, and a build must not cost more as history grows. -#}
{% test unique_combination(model, columns, entity=none, date_column=none) %}
select
    {{ columns | join(', ') }},
    count(*) as copies
from {{ model }}
{%- if entity %}
where {{ adx.is_touched(entity, date_column) }}
{%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
