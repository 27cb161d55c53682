{{ adx.touched_days_config('session', 'session_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}
{%- set order = 'happened_at, kind_order, event_key' %}
{#- Kind, relation, its time, its key, its partition column, how far that may lie from the time, and what
    else must hold. -#}
{%- set sources = [
    ('impression', 'fct_impressions', 'rendered_at', 'impression_key', 'impression_date', lookback, 'facts.rendered_at is not null'),
    ('click', 'fct_clicks', 'clicked_at', 'event_id', 'click_date', 0, 'true'),
    ('conversion', 'fct_conversions', 'converted_at', 'event_id', 'conversion_date', 0, 'true'),
] %}

with events as (
    {% for kind, relation, time, key, date, distance, condition in sources %}
    select
        facts.user_id,
        facts.{{ time }} as happened_at,
        {{ loop.index }} as kind_order,
        {{ adx.as_text("'" ~ kind ~ "'") }} as kind,
        facts.{{ key }} as event_key,
        facts.advertiser_id,
        facts.load_id,
        cast(facts.{{ time }} as date) as happened_date
    from {{ ref(relation) }} as facts
    -- Only who consents may be followed from one event to the next.
    where facts.has_consent
        and facts.user_id is not null
        and not facts.is_givt
        and {{ condition }}
    {%- if incremental %}
        and {{ adx.is_near_touched('session', 'facts.' ~ date, before=distance + 3, after=distance + 1) }}
        {%- if distance %}
        and {{ adx.is_near_touched('session', 'cast(facts.' ~ time ~ ' as date)', before=3, after=1) }}
        {%- endif %}
    {%- endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

followed as (

    select
        events.*,
        lag(events.happened_at) over (partition by events.user_id order by {{ order }}) as previous_at
    from events

),

paused as (

    select
        followed.*,
        case
            when followed.previous_at is null then 1
            when {{ adx.micros_between('followed.previous_at', 'followed.happened_at') }}
                > {{ var('adx_session_timeout_minutes') * 60000000 }} then 1
            else 0
        end as is_after_pause
    from followed

),

user_days as (

    select
        paused.user_id,
        paused.happened_date,
        max(paused.is_after_pause) as has_pause
    from paused
    group by paused.user_id, paused.happened_date

),

-- Who went through a whole day without a pause begins anew at midnight. So a session, before it is cut
-- further, lies on the day of its beginning and the next one, and a build need not follow a robot back
-- to where it was switched on.
opened as (

    select
        paused.*,
        case
            when paused.is_after_pause = 1 then 1
            when cast(paused.previous_at as date) < paused.happened_date and day_before.has_pause = 0 then 1
            else 0
        end as is_first
    from paused
    left join user_days as day_before
        on paused.user_id = day_before.user_id
        and day_before.happened_date = {{ adx.add_days('paused.happened_date', -1) }}

),

numbered as (

    select
        opened.*,
        sum(opened.is_first) over (
            partition by opened.user_id
            order by {{ order }}
            rows between unbounded preceding and current row
        ) as session_number
    from opened

),

timed as (

    select
        numbered.*,
        min(numbered.happened_at) over (
            partition by numbered.user_id, numbered.session_number
        ) as opened_at,
        max(case when numbered.is_first = 1 then 1 - numbered.is_after_pause else 0 end) over (
            partition by numbered.user_id, numbered.session_number
        ) as is_opened_at_midnight
    from numbered

),

cut_by_time as (

    select
        timed.*,
        {{ adx.integer_quotient(
            adx.wide(adx.micros_between('timed.opened_at', 'timed.happened_at')),
            adx.wide((var('adx_session_max_hours') * 3600000000) | string)
        ) }} as time_piece
    from timed

),

ranked as (

    select
        cut_by_time.*,
        row_number() over (
            partition by cut_by_time.user_id, cut_by_time.session_number, cut_by_time.time_piece
            order by {{ order }}
        ) as piece_rank
    from cut_by_time

),

cut as (

    select
        ranked.*,
        {{ adx.integer_quotient(adx.wide('ranked.piece_rank - 1'), adx.wide(var('adx_session_max_events') | string)) }} as count_piece
    from ranked

),

sessions as (

    select
        cut.user_id,
        {{ adx.value_where('cut.event_key', 'cut.piece_rank = cut.count_piece * ' ~ var('adx_session_max_events') ~ ' + 1') }} as first_event_key,
        {{ adx.value_where('cut.kind', 'cut.piece_rank = cut.count_piece * ' ~ var('adx_session_max_events') ~ ' + 1') }} as first_event_kind,
        min(cut.happened_at) as started_at,
        max(cut.happened_at) as ended_at,
        {{ adx.count_bigint() }} as events,
        {%- for kind, relation, time, key, date, distance, condition in sources %}
        {{ adx.count_where("cut.kind = '" ~ kind ~ "'") }} as {{ kind }}s,
        {%- endfor %}
        cast(count(distinct cut.advertiser_id) as bigint) as advertisers,
        {{ adx.any_true('cut.is_opened_at_midnight = 1 or cut.time_piece > 0 or cut.count_piece > 0') }} as is_continuation,
        max(cut.load_id) as load_id,
        cast(min(cut.happened_at) as date) as session_date
    from cut
    group by cut.user_id, cut.session_number, cut.time_piece, cut.count_piece

)

select
    {{ adx.surrogate_key(['sessions.user_id', 'sessions.first_event_kind', 'sessions.first_event_key']) }} as session_id,
    sessions.user_id,
    sessions.started_at,
    sessions.ended_at,
    {{ adx.whole_seconds_between('sessions.started_at', 'sessions.ended_at') }} as duration_seconds,
    sessions.first_event_kind,
    sessions.events,
    sessions.impressions,
    sessions.clicks,
    sessions.conversions,
    sessions.advertisers,
    sessions.is_continuation,
    sessions.load_id,
    sessions.session_date
from sessions
{%- if incremental %}
where {{ adx.is_touched('session', 'sessions.session_date') }}
{%- endif %}
