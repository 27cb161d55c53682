{#- Times are naive UTC timestamps with microseconds on every engine. -#}

{% macro hour_of(timestamp) -%}cast(date_trunc('hour', {{ timestamp }}) as timestamp){%- endmacro %}

{#- The date `days` (an integer expression, may be negative) after `date`. -#}
{% macro add_days(date, days) -%}{{ return(adapter.dispatch('add_days', 'adx')(date, days)) }}{%- endmacro %}
{% macro default__add_days(date, days) -%}(cast({{ date }} as date) + cast({{ days }} as integer)){%- endmacro %}
{% macro redshift__add_days(date, days) -%}cast(dateadd(day, cast({{ days }} as integer), cast({{ date }} as date)) as date){%- endmacro %}
{% macro spark__add_days(date, days) -%}date_add(cast({{ date }} as date), cast({{ days }} as int)){%- endmacro %}

{#- The timestamp `amount` (an integer expression) `unit`s after `timestamp`; unit: minute, hour. -#}
{% macro add_time(timestamp, amount, unit) -%}{{ return(adapter.dispatch('add_time', 'adx')(timestamp, amount, unit)) }}{%- endmacro %}
{% macro default__add_time(timestamp, amount, unit) -%}({{ timestamp }} + cast({{ amount }} as integer) * interval '1 {{ unit }}'){%- endmacro %}
{% macro redshift__add_time(timestamp, amount, unit) -%}dateadd({{ unit }}, cast({{ amount }} as integer), {{ timestamp }}){%- endmacro %}
{% macro spark__add_time(timestamp, amount, unit) -%}timestampadd({{ unit }}, cast({{ amount }} as int), {{ timestamp }}){%- endmacro %}

{#- `later` minus `earlier`, in microseconds (bigint). -#}
{% macro micros_between(earlier, later) -%}{{ return(adapter.dispatch('micros_between', 'adx')(earlier, later)) }}{%- endmacro %}
{% macro default__micros_between(earlier, later) -%}(epoch_us({{ later }}) - epoch_us({{ earlier }})){%- endmacro %}
{% macro redshift__micros_between(earlier, later) -%}datediff(microsecond, {{ earlier }}, {{ later }}){%- endmacro %}
{% macro spark__micros_between(earlier, later) -%}(unix_micros({{ later }}) - unix_micros({{ earlier }})){%- endmacro %}

{#- Whole days that a span of `hours` may reach back across midnight. -#}
{% macro days_covering_hours(hours) -%}(cast(floor(({{ hours }}) / 24.0) as integer) + 1){%- endmacro %}

{#- Whole seconds from `earlier` to `later`, which is not before it (bigint). -#}
{% macro whole_seconds_between(earlier, later) -%}
  {{ adx.integer_quotient(adx.wide(adx.micros_between(earlier, later)), adx.wide('1000000')) }}
{%- endmacro %}
