-- No event of a consenting user is lost between its fact and the sessions, or in two of them. Looks at
-- sessions of rebuilt days: each has as many events of its user as the facts have in its span.
with sessions as (

    select sessions.*
    from {{ ref('fct_sessions') }} as sessions
    where {{ adx.is_touched('session', 'sessions.session_date') }}

),

events as (
    {% for relation, time, date, distance in [
        ('fct_impressions', 'rendered_at', 'impression_date', var('adx_lookback_days')),
        ('fct_clicks', 'clicked_at', 'click_date', 0),
        ('fct_conversions', 'converted_at', 'conversion_date', 0),
    ] %}
    select
        facts.user_id,
        facts.{{ time }} as happened_at
    from {{ ref(relation) }} as facts
    where facts.has_consent
        and facts.user_id is not null
        and not facts.is_givt
        and facts.{{ time }} is not null
        and {{ adx.is_near_touched('session', 'facts.' ~ date, before=distance, after=distance + 1) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

found as (

    select
        events.user_id,
        cast(events.happened_at as date) as happened_date,
        count(distinct sessions.session_id) as sessions
    from events
    left join sessions
        on events.user_id = sessions.user_id
        and events.happened_at between sessions.started_at and sessions.ended_at
    where {{ adx.is_touched('session', 'cast(events.happened_at as date)') }}
    group by events.user_id, cast(events.happened_at as date), events.happened_at

),

counted as (

    select
        sessions.session_id,
        max(sessions.events) as events,
        count(events.happened_at) as found
    from sessions
    left join events
        on events.user_id = sessions.user_id
        and events.happened_at between sessions.started_at and sessions.ended_at
    group by sessions.session_id

)

select counted.session_id
from counted
-- Where sessions are cut between two events of one instant, both see both.
where counted.events > counted.found
union all
select found.user_id as session_id
from found
where found.sessions = 0
    -- Its session may have begun the day before, and not be among those looked at.
    and {{ adx.is_touched('session', adx.add_days('found.happened_date', -1)) }}
