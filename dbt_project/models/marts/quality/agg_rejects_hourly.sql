{{ adx.touched_days_config('offsets', 'event_date') }}

with rejects as (

    select
        staged.*,
        case
            when cast(staged.event_time as date) = staged.event_date then staged.event_time
            else coalesce(staged.kafka_timestamp, cast(staged.event_date as timestamp))
        end as happened_at
    from {{ ref('stg_rejects') }} as staged
    cross join {{ ref('int_changed_loads') }} as loads
    where staged.load_id <= loads.to_load_id
    {%- if adx.builds_touched_days() %}
        and {{ adx.is_touched('offsets', 'staged.event_date') }}
    {%- endif %}

)

select
    {{ adx.hour_of('rejects.happened_at') }} as hour_start,
    rejects.stream,
    rejects.reason_code,
    {{ adx.count_bigint() }} as rejected,
    -- One place to look: the newest reject of this hour and reason.
    max(rejects.kafka_timestamp) as last_seen_at,
    max(rejects.load_id) as load_id,
    rejects.event_date
from rejects
group by
    {{ adx.hour_of('rejects.happened_at') }},
    rejects.stream,
    rejects.reason_code,
    rejects.event_date
