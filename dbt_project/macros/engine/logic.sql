{#- Aggregates and keys in the SQL that all engines share. -#}

{#- True if the condition is true for at least one row of the group; null counts as false. -#}
{% macro any_true(condition) -%}(max(case when {{ condition }} then 1 else 0 end) = 1){%- endmacro %}

{#- The value of `expression` on the one row of the group for which `condition` holds. -#}
{% macro value_where(expression, condition) -%}max(case when {{ condition }} then {{ expression }} end){%- endmacro %}

{#- How many bits of a small integer are set, of the lowest `bits`. -#}
{% macro count_of_bits(expression, bits) -%}{{ return(adapter.dispatch('count_of_bits', 'adx')(expression, bits)) }}{%- endmacro %}
{% macro default__count_of_bits(expression, bits) -%}
  ({% for bit in range(bits) %}case when ({{ expression }} & {{ 2 ** bit }}) <> 0 then 1 else 0 end{% if not loop.last %} + {% endif %}{% endfor %})
{%- endmacro %}
{% macro duckdb__count_of_bits(expression, bits) -%}bit_count({{ expression }}){%- endmacro %}

{#- One text key of several columns. The unit separator keeps ('a','bc') apart from ('ab','c'). -#}
{% macro surrogate_key(columns) -%}{{ return(adapter.dispatch('surrogate_key', 'adx')(columns)) }}{%- endmacro %}
{% macro default__surrogate_key(columns) -%}
  md5({% for column in columns %}{% if not loop.first %} || chr(31) || {% endif %}coalesce({{ column }}, ''){% endfor %})
{%- endmacro %}
{#- The same text, at half the time: this concat takes null for ''. -#}
{% macro duckdb__surrogate_key(columns) -%}md5(concat({{ columns | join(', chr(31), ') }})){%- endmacro %}

{#- The conditions that are given, one beneath the other; true if there is none. -#}
{% macro all_of(conditions) -%}{{ return(conditions | select | join('\n        and ') or 'true') }}{%- endmacro %}

{#- Equality of the four ids that name one bid: an OpenRTB id alone is unique neither in time nor
    across exchanges. -#}
{% macro bid_key() -%}{{ return(['exchange_id', 'request_id', 'imp_id', 'bid_id']) }}{%- endmacro %}
{% macro bid_key_columns(alias) -%}{{ adx.columns_of(alias, adx.bid_key()) }}{%- endmacro %}
{% macro same_bid(left, right) -%}{{ adx.same_columns(left, right, adx.bid_key()) }}{%- endmacro %}

{% macro columns_of(alias, columns) -%}
  {%- for column in columns %}{{ alias }}.{{ column }}{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}
{% macro same_columns(left, right, columns) -%}
  {%- for column in columns %}{{ left }}.{{ column }} = {{ right }}.{{ column }}{% if not loop.last %} and {% endif %}{% endfor -%}
{%- endmacro %}

{#- The columns that tell bids apart and are narrower than four texts: on DuckDB two numbers of 64 bits, of
    the four ids and of the request's alone. Two bids of different requests agree in both as rarely as in a
    digest of 128 bits, and two of one request, which are few, as in one of 64. They are good for one
    statement only: another version of DuckDB may make other numbers (docs/decisions/0020-joined-bids.md). -#}
{% macro bid_group() -%}{{ return(adapter.dispatch('bid_group', 'adx')()) }}{%- endmacro %}
{% macro default__bid_group() -%}{{ return(adx.bid_key()) }}{%- endmacro %}
{% macro duckdb__bid_group() -%}{{ return(['bid_number', 'bid_check']) }}{%- endmacro %}
{#- The first of them: what tells bids apart but for one pair in 2^64. -#}
{% macro bid_number() -%}{{ return(adapter.dispatch('bid_number', 'adx')()) }}{%- endmacro %}
{% macro default__bid_number() -%}{{ return(adx.bid_key()) }}{%- endmacro %}
{% macro duckdb__bid_number() -%}{{ return(['bid_number']) }}{%- endmacro %}
{#- The columns themselves: those of the group, those of the number; the four ids and the number; and all
    columns of a relation and the group. -#}
{% macro bid_group_columns(alias) -%}{{ return(adapter.dispatch('bid_group_columns', 'adx')(alias)) }}{%- endmacro %}
{% macro default__bid_group_columns(alias) -%}{{ adx.bid_key_columns(alias) }}{%- endmacro %}
{% macro duckdb__bid_group_columns(alias) -%}
  {{ adx.bid_number_columns(alias) }},
        hash({{ alias }}.request_id) as bid_check
{%- endmacro %}
{% macro bid_number_columns(alias) -%}{{ return(adapter.dispatch('bid_number_columns', 'adx')(alias)) }}{%- endmacro %}
{% macro default__bid_number_columns(alias) -%}{{ adx.bid_key_columns(alias) }}{%- endmacro %}
{% macro duckdb__bid_number_columns(alias) -%}hash({{ adx.bid_key_columns(alias) }}) as bid_number{%- endmacro %}
{% macro with_bid_number(alias) -%}{{ return(adapter.dispatch('with_bid_number', 'adx')(alias)) }}{%- endmacro %}
{% macro default__with_bid_number(alias) -%}{{ adx.bid_key_columns(alias) }}{%- endmacro %}
{% macro duckdb__with_bid_number(alias) -%}
  {{ adx.bid_key_columns(alias) }},
        {{ adx.bid_number_columns(alias) }}
{%- endmacro %}
{% macro with_bid_group(alias) -%}{{ return(adapter.dispatch('with_bid_group', 'adx')(alias)) }}{%- endmacro %}
{% macro default__with_bid_group(alias) -%}{{ alias }}.*{%- endmacro %}
{% macro duckdb__with_bid_group(alias) -%}
  {{ alias }}.*,
        {{ adx.bid_group_columns(alias) }}
{%- endmacro %}

{#- What is the same for the same text, and on DuckDB less to group by: a number of 64 bits, which two texts
    may share. Good for one statement only. -#}
{% macro number_of(text) -%}{{ return(adapter.dispatch('number_of', 'adx')(text)) }}{%- endmacro %}
{% macro default__number_of(text) -%}{{ text }}{%- endmacro %}
{% macro duckdb__number_of(text) -%}hash({{ text }}){%- endmacro %}

{#- One column that is the same for the same texts, none of them null, and for no others: on DuckDB their
    number among those of the `from`, which is less to sort and join by. Good for one statement only. -#}
{% macro narrow_key(columns) -%}{{ return(adapter.dispatch('narrow_key', 'adx')(columns)) }}{%- endmacro %}
{% macro default__narrow_key(columns) -%}{{ columns | join(' || chr(31) || ') }}{%- endmacro %}
{% macro duckdb__narrow_key(columns) -%}dense_rank() over (order by {{ columns | join(', ') }}){%- endmacro %}
{% macro no_narrow_key() -%}{{ return(adapter.dispatch('no_narrow_key', 'adx')()) }}{%- endmacro %}
{% macro default__no_narrow_key() -%}{{ adx.as_text('null') }}{%- endmacro %}
{% macro duckdb__no_narrow_key() -%}cast(null as bigint){%- endmacro %}

{#- Between `as` and the parenthesis of a CTE that two others read, each other columns or rows of it:
    DuckDB would keep all of its rows, at half of the query's time (measured 2026-11), where reading
    the table twice is cheap. Redshift and Spark write such a CTE into the query anyway. -#}
{% macro read_twice() -%}{{ return(adapter.dispatch('read_twice', 'adx')()) }}{%- endmacro %}
{% macro default__read_twice() -%}{%- endmacro %}
{% macro duckdb__read_twice() -%}not materialized {% endmacro %}

{#- Two more CTEs: `<cte>_repeated`, the keys with more than one row, and `<cte>_first`, of each key the
    first row in the order. No key may be null.

    Nearly every key has one row, and numbering all of them means sorting everything by a text key:
    this way only what is repeated is sorted (a third of the time, measured 2026-11 on DuckDB). -#}
{% macro first_rows(cte, keys, order) -%}
{{ cte }}_repeated as (

    select
        {%- for key in keys %}
        {{ cte }}.{{ key }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ cte }}
    group by {% for key in keys %}{{ cte }}.{{ key }}{% if not loop.last %}, {% endif %}{% endfor %}
    having count(*) > 1

),

{{ cte }}_first as (

    select
        {{ cte }}.*,
        1 as row_rank
    from {{ cte }}
    left join {{ cte }}_repeated as repeated
        on {% for key in keys %}{{ cte }}.{{ key }} = repeated.{{ key }}{% if not loop.last %} and {% endif %}{% endfor %}
    where repeated.{{ keys[0] }} is null
    union all
    select ranked.*
    from (
        select
            {{ cte }}.*,
            row_number() over (
                partition by {% for key in keys %}{{ cte }}.{{ key }}{% if not loop.last %}, {% endif %}{% endfor %}
                order by {{ order }}
            ) as row_rank
        from {{ cte }}
        inner join {{ cte }}_repeated as repeated
            on {% for key in keys %}{{ cte }}.{{ key }} = repeated.{{ key }}{% if not loop.last %} and {% endif %}{% endfor %}
    ) as ranked
    where ranked.row_rank = 1

)
{%- endmacro %}
