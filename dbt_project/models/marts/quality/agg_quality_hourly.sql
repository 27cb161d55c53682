{{ adx.touched_days_config('quality', 'event_date') }}

with judged as (

    select
        dispositions.stream,
        dispositions.record_type,
        dispositions.disposition,
        dispositions.event_time as happened_at,
        dispositions.is_late,
        dispositions.load_id,
        dispositions.event_date
    from {{ ref('int_event_dispositions') }} as dispositions
    union all
    select
        rejects.stream,
        coalesce(rejects.record_type, 'unknown') as record_type,
        {{ adx.as_text("'rejected'") }} as disposition,
        -- The day of a reject is that of its event time where it has one that can be believed.
        case
            when cast(rejects.event_time as date) = rejects.event_date then rejects.event_time
            else coalesce(rejects.kafka_timestamp, cast(rejects.event_date as timestamp))
        end as happened_at,
        cast(false as boolean) as is_late,
        rejects.load_id,
        rejects.event_date
    from {{ ref('stg_rejects') }} as rejects
    cross join {{ ref('int_changed_loads') }} as loads
    where rejects.load_id <= loads.to_load_id

)

select
    {{ adx.hour_of('judged.happened_at') }} as hour_start,
    judged.stream,
    judged.record_type,
    {%- for disposition in ['accepted', 'rejected', 'duplicate', 'conflict'] %}
    {{ adx.count_where("judged.disposition = '" ~ disposition ~ "'") }} as {{ disposition }},
    {%- endfor %}
    {{ adx.count_where("judged.disposition = 'accepted' and judged.is_late") }} as late,
    max(judged.load_id) as load_id,
    judged.event_date
from judged
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('quality', 'judged.event_date') }}
{%- endif %}
group by
    {{ adx.hour_of('judged.happened_at') }},
    judged.stream,
    judged.record_type,
    judged.event_date
