{{ adx.touched_days_config('ivt', 'activity_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}
{%- set points = var('adx_sivt_points') %}

with happened as {{ adx.read_twice() }}(

    select
        impressions.user_id,
        impressions.rendered_at as happened_at,
        1 as is_impression,
        case when impressions.measurable_at is not null then 1 else 0 end as is_measurable,
        case when impressions.viewable_at is not null then 1 else 0 end as is_viewable,
        0 as is_orphan_click,
        impressions.geo_country,
        impressions.load_id,
        cast(impressions.rendered_at as date) as activity_date
    from {{ ref('fct_impressions') }} as impressions
    -- Only who consents may be followed from one event to the next.
    where impressions.has_consent
        and impressions.user_id is not null
        and not impressions.is_givt
        and impressions.rendered_at is not null
    {%- if incremental %}
        and {{ adx.is_near_touched('ivt', 'impressions.impression_date', before=lookback, after=lookback) }}
        and {{ adx.is_touched('ivt', 'cast(impressions.rendered_at as date)') }}
    {%- endif %}
    union all
    select
        clicks.user_id,
        clicks.clicked_at as happened_at,
        0 as is_impression,
        0 as is_measurable,
        0 as is_viewable,
        case when clicks.impression_key is null then 1 else 0 end as is_orphan_click,
        {{ adx.as_text('null') }} as geo_country,
        clicks.load_id,
        clicks.click_date as activity_date
    from {{ ref('fct_clicks') }} as clicks
    where clicks.has_consent
        and clicks.user_id is not null
        and not clicks.is_givt
    {%- if incremental %}
        and {{ adx.is_touched('ivt', 'clicks.click_date') }}
    {%- endif %}

),

-- Nearly everybody does too little in a day to be judged: what follows looks at the others alone.
busy as (

    select
        happened.user_id,
        happened.activity_date
    from happened
    group by happened.user_id, happened.activity_date
    having count(*) >= {{ var('adx_sivt_fewest_events') }}

),

followed as (

    select
        happened.*,
        {{ adx.hour_of('happened.happened_at') }} as hour_start,
        {{ adx.micros_between(
            'lag(happened.happened_at) over (
                partition by happened.user_id, happened.activity_date, happened.is_impression
                order by happened.happened_at
            )',
            'happened.happened_at'
        ) }} as pause_micros
    from happened
    inner join busy
        on happened.user_id = busy.user_id
        and happened.activity_date = busy.activity_date

),

counted as (

    select
        followed.user_id,
        followed.activity_date,
        {{ adx.sum_bigint('followed.is_impression') }} as impressions,
        {{ adx.sum_bigint('followed.is_measurable') }} as measurable_impressions,
        {{ adx.sum_bigint('followed.is_viewable') }} as viewable_impressions,
        {{ adx.sum_bigint('1 - followed.is_impression') }} as clicks,
        {{ adx.sum_bigint('followed.is_orphan_click') }} as orphan_clicks,
        cast(count(distinct followed.hour_start) as bigint) as active_hours,
        cast(count(distinct followed.geo_country) as bigint) as countries,
        min(case when followed.is_impression = 1 then followed.pause_micros end) as shortest_pause_micros,
        max(case when followed.is_impression = 1 then followed.pause_micros end) as longest_pause_micros,
        max(followed.load_id) as load_id
    from followed
    group by followed.user_id, followed.activity_date

),

-- Every sign is a comparison of whole numbers: no engine rounds it another way.
judged as (

    select
        counted.*,
        counted.active_hours >= {{ var('adx_sivt_active_hours') }} as is_round_the_clock,
        coalesce(
            counted.impressions >= {{ var('adx_sivt_regular_impressions') }}
            and (counted.longest_pause_micros - counted.shortest_pause_micros) * 10 <= counted.longest_pause_micros,
            false
        ) as is_clockwork,
        counted.clicks >= {{ var('adx_sivt_clicks') }}
            and counted.clicks * 2 > counted.impressions as is_click_happy,
        counted.countries >= {{ var('adx_sivt_countries') }} as is_everywhere,
        counted.measurable_impressions >= {{ var('adx_sivt_unseen_impressions') }}
            and counted.viewable_impressions = 0 as is_never_seen,
        counted.orphan_clicks >= {{ var('adx_sivt_orphan_clicks') }} as has_orphan_clicks
    from counted

),

scored as (

    select
        judged.*,
        least(
            100
            {%- for sign, column in [
                ('round_the_clock', 'is_round_the_clock'), ('clockwork', 'is_clockwork'),
                ('click_happy', 'is_click_happy'), ('everywhere', 'is_everywhere'),
                ('never_seen', 'is_never_seen'), ('orphan_clicks', 'has_orphan_clicks'),
            ] %}{% if loop.first %},{% else %} +{% endif %}
            case when judged.{{ column }} then {{ points[sign] }} else 0 end
            {%- endfor %}
        ) as sivt_score
    from judged

)

select
    scored.user_id,
    scored.impressions,
    scored.measurable_impressions,
    scored.viewable_impressions,
    scored.clicks,
    scored.orphan_clicks,
    scored.active_hours,
    scored.countries,
    scored.is_round_the_clock,
    scored.is_clockwork,
    scored.is_click_happy,
    scored.is_everywhere,
    scored.is_never_seen,
    scored.has_orphan_clicks,
    cast(scored.sivt_score as integer) as sivt_score,
    scored.sivt_score >= {{ var('adx_sivt_threshold') }} as is_sivt,
    scored.load_id,
    scored.activity_date
from scored
where scored.sivt_score > 0
