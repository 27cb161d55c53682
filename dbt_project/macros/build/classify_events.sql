{#- The authoritative duplicate rule, over all copies of an event that were ever loaded (not only
    those of one batch, which refining has marked already).

    Of the rows with one event_id the winner is the one with the lowest (Kafka timestamp,
    partition, offset); it is `accepted`. Another row with the winner's payload is a `duplicate`,
    one with another payload a `conflict`. Events of different tables are different events.

    Only what lost is stored: a copy in a hundred events instead of every event a second time, which
    was half of the time of a full build (measured 2026-11 on DuckDB).

    Copies are looked for `adx_lookback_days` around each touched day. -#}
{% macro losing_copies(staging_model, entity) -%}
with candidates as {{ adx.read_twice() }}(

    select
        staged.topic_id,
        staged.partition_id,
        staged.kafka_offset,
        staged.kafka_timestamp,
        staged.event_id,
        {{ adx.number_of('staged.event_id') }} as event_number,
        staged.payload_fingerprint,
        staged.load_id,
        staged.event_date
    from {{ ref(staging_model) }} as staged
    cross join {{ ref('int_changed_loads') }} as loads
    {%- if adx.builds_touched_days() %}
    inner join (
        select distinct same_day.event_id
        from {{ ref(staging_model) }} as same_day
        where {{ adx.is_touched(entity, 'same_day.event_date') }}
    ) as touched
        on staged.event_id = touched.event_id
    {%- endif %}
    where staged.load_id <= loads.to_load_id
    {%- if adx.builds_touched_days() %}
      and {{ adx.is_near_touched(entity, 'staged.event_date') }}
    {%- endif %}

),

-- Nearly every event has one copy: numbering all of them would sort everything by a text key. Two events
-- that share a number are numbered as well, each of them as the first of its own.
repeated as (

    select candidates.event_number
    from candidates
    group by candidates.event_number
    having count(*) > 1

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
    inner join repeated on candidates.event_number = repeated.event_number

)

select
    ranked.topic_id,
    ranked.partition_id,
    ranked.kafka_offset,
    ranked.event_id,
    {{ adx.as_text("case
        when ranked.payload_fingerprint = ranked.winner_fingerprint then 'duplicate'
        else 'conflict'
    end") }} as disposition,
    ranked.load_id,
    ranked.event_date
from ranked
where ranked.arrival_rank > 1
{%- if adx.builds_touched_days() %}
    and {{ adx.is_touched(entity, 'ranked.event_date') }}
{%- endif %}
{%- endmacro %}

{#- The topic id decides only between copies in two incarnations of a topic. -#}
{% macro arrival_order(alias) -%}
  {{ alias }}.kafka_timestamp, {{ alias }}.partition_id, {{ alias }}.kafka_offset, {{ alias }}.topic_id
{%- endmacro %}

{#- Every loaded row with its disposition; `columns` are the staging columns that the model keeps. -#}
{% macro classified_events(staging_model, copies_model, columns) -%}
select
    {%- for column in columns %}
    staged.{{ column }},
    {%- endfor %}
    staged.topic_id,
    staged.partition_id,
    staged.kafka_offset,
    staged.kafka_timestamp,
    staged.record_type,
    staged.event_id,
    staged.event_time,
    staged.is_late,
    staged.load_id,
    {{ adx.as_text("coalesce(copies.disposition, 'accepted')") }} as disposition,
    staged.event_date
from {{ ref(staging_model) }} as staged
cross join {{ ref('int_changed_loads') }} as loads
left join {{ ref(copies_model) }} as copies
    on staged.event_id = copies.event_id
    and staged.event_date = copies.event_date
    and staged.topic_id = copies.topic_id
    and staged.partition_id = copies.partition_id
    and staged.kafka_offset = copies.kafka_offset
where staged.load_id <= loads.to_load_id
{%- endmacro %}

{#- The winners of a classified model. -#}
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
