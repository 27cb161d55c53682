{#- The authoritative duplicate rule, over all copies of an event that were ever loaded (not only
    those of one batch, which refining has marked already).

    Of the rows with one event_id the winner is the one with the lowest (Kafka timestamp,
    partition, offset); it is `accepted`. Another row with the winner's payload is a `duplicate`,
    one with another payload a `conflict`. Events of different tables are different events.

    Copies are looked for `adx_lookback_days` around each touched day. `columns` are the staging
    columns that the model keeps. -#}
{% macro classify_events(staging_model, entity, columns) -%}
with candidates as (

    select staged.*
    from {{ ref(staging_model) }} as staged
    cross join {{ ref('int_changed_loads') }} as loads
    where staged.load_id <= loads.to_load_id
    {%- if adx.builds_touched_days() %}
      and {{ adx.is_near_touched(entity, 'staged.event_date') }}
      and staged.event_id in (
        select same_day.event_id
        from {{ ref(staging_model) }} as same_day
        where {{ adx.is_touched(entity, 'same_day.event_date') }}
      )
    {%- endif %}

),

ranked as (

    select
        candidates.*,
        row_number() over (
            partition by candidates.event_id
            order by {{ adx.arrival_order('candidates') }}
        ) as arrival_rank,
        first_value(candidates.payload_fingerprint) over (
            partition by candidates.event_id
            order by {{ adx.arrival_order('candidates') }}
            rows between unbounded preceding and unbounded following
        ) as winner_fingerprint
    from candidates

)

select
    {%- for column in columns %}
    ranked.{{ column }},
    {%- endfor %}
    ranked.topic_id,
    ranked.partition_id,
    ranked.kafka_offset,
    ranked.kafka_timestamp,
    ranked.record_type,
    ranked.event_id,
    ranked.event_time,
    ranked.is_late,
    ranked.load_id,
    {{ adx.as_text("case
        when ranked.arrival_rank = 1 then 'accepted'
        when ranked.payload_fingerprint = ranked.winner_fingerprint then 'duplicate'
        else 'conflict'
    end") }} as disposition,
    ranked.event_date
from ranked
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched(entity, 'ranked.event_date') }}
{%- endif %}
{%- endmacro %}

{#- The topic id decides only between copies in two incarnations of a topic. -#}
{% macro arrival_order(alias) -%}
  {{ alias }}.kafka_timestamp, {{ alias }}.partition_id, {{ alias }}.kafka_offset, {{ alias }}.topic_id
{%- endmacro %}

{#- The winners of a classified table. -#}
{% macro accepted_events(classified_model, columns) -%}
select
    {%- for column in columns %}
    classified.{{ column }},
    {%- endfor %}
    classified.topic_id,
    classified.partition_id,
    classified.kafka_offset,
    classified.kafka_timestamp,
    classified.event_id,
    classified.event_time,
    classified.is_late,
    classified.load_id,
    classified.event_date
from {{ ref(classified_model) }} as classified
where classified.disposition = 'accepted'
{%- endmacro %}
