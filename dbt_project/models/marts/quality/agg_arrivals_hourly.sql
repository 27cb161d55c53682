{{ adx.touched_days_config('arrival', 'arrival_date') }}

with arrived as (

    select
        dispositions.stream,
        coalesce(dispositions.exchange_id, 'unknown') as exchange_id,
        dispositions.disposition,
        coalesce(dispositions.is_late, false) as is_late,
        coalesce(dispositions.kafka_timestamp, dispositions.event_time) as arrived_at,
        dispositions.load_id
    from {{ ref('int_event_dispositions') }} as dispositions
    {%- if adx.builds_touched_days() %}
    -- The tables are kept by event date, so that is what a build prunes by.
    where {{ adx.is_near_touched('arrival', 'dispositions.event_date', before=var('adx_latest_arrival_days'), after=1) }}
    {%- endif %}
    union all
    select
        rejects.stream,
        {{ adx.as_text("'unknown'") }} as exchange_id,
        {{ adx.as_text("'rejected'") }} as disposition,
        cast(false as boolean) as is_late,
        coalesce(rejects.kafka_timestamp, cast(rejects.event_date as timestamp)) as arrived_at,
        rejects.load_id
    from {{ ref('stg_rejects') }} as rejects
    cross join {{ ref('int_changed_loads') }} as loads
    where rejects.load_id <= loads.to_load_id

)

select
    {{ adx.hour_of('arrived.arrived_at') }} as hour_start,
    arrived.stream,
    arrived.exchange_id,
    {{ adx.count_bigint() }} as messages,
    {%- for disposition, name in [('accepted', 'accepted'), ('rejected', 'rejected'), ('duplicate', 'duplicates'), ('conflict', 'conflicts')] %}
    {{ adx.count_where("arrived.disposition = '" ~ disposition ~ "'") }} as {{ name }},
    {%- endfor %}
    {{ adx.count_where("arrived.disposition = 'accepted' and arrived.is_late") }} as late,
    max(arrived.arrived_at) as last_arrived_at,
    max(arrived.load_id) as load_id,
    cast(arrived.arrived_at as date) as arrival_date
from arrived
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('arrival', 'cast(arrived.arrived_at as date)') }}
{%- endif %}
group by
    {{ adx.hour_of('arrived.arrived_at') }},
    arrived.stream,
    arrived.exchange_id,
    cast(arrived.arrived_at as date)
