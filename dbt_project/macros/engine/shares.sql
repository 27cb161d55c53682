{#- Dividing an integer amount among rows so that the parts add up to exactly the amount: everyone
    gets the whole part of amount * weight / total, and what is left goes, one each, to the largest
    remainders (the method of the largest remainder). All arithmetic is in whole numbers, so every
    engine gives the same parts. -#}

{#- The whole part; weights are not negative, and the amount may be. -#}
{% macro whole_share(amount, weight, total_weight) -%}
  {{ adx.integer_quotient(
      adx.wide('abs(' ~ amount ~ ')') ~ ' * ' ~ adx.wide(weight), adx.wide(total_weight)
  ) }}
{%- endmacro %}

{#- What the whole part leaves, as an integer of weight: the order of who gets one more. -#}
{% macro share_remainder(amount, weight, total_weight, whole) -%}
  ({{ adx.wide('abs(' ~ amount ~ ')') }} * {{ adx.wide(weight) }} - {{ adx.wide(whole) }} * {{ adx.wide(total_weight) }})
{%- endmacro %}

{#- The part: the whole share, one more if `remainder_rank` is among what the whole shares leave of
    the amount, with the amount's sign. -#}
{% macro share(amount, whole, sum_of_wholes, remainder_rank) -%}
  cast((
    {{ whole }} + case when {{ remainder_rank }} <= abs({{ amount }}) - {{ sum_of_wholes }} then 1 else 0 end
  ) * case when {{ amount }} < 0 then -1 else 1 end as bigint)
{%- endmacro %}
