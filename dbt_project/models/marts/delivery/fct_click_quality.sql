{{ adx.touched_days_config('click_quality', 'click_date') }}

{%- set per_hour = var('adx_clicks_per_user_hour') %}

with clicks as (

    select
        facts.*,
        {{ adx.micros_between('facts.rendered_at', 'facts.clicked_at') }} as micros_from_impression,
        lag(facts.clicked_at) over (
            partition by facts.impression_key
            order by facts.clicked_at, facts.event_id
        ) as clicked_before_at,
        -- More than N clicks in an hour: the N-th click before this one is less than an hour old.
        lag(facts.clicked_at, {{ per_hour }}) over (
            partition by case when facts.has_consent then facts.user_id end
            order by facts.clicked_at, facts.event_id
        ) as crowd_began_at
    from {{ ref('fct_clicks') }} as facts
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_near_touched('click_quality', 'facts.click_date', before=1, after=0) }}
    {%- endif %}

),

judged as (

    select
        clicks.*,
        clicks.impression_key is not null
            and clicks.clicked_before_at is not null
            and {{ adx.micros_between('clicks.clicked_before_at', 'clicks.clicked_at') }}
                < {{ var('adx_click_repeat_seconds') * 1000000 }} as is_repeat,
        coalesce(clicks.micros_from_impression < 0, false) as is_before_impression,
        coalesce(
            clicks.micros_from_impression >= 0
            and clicks.micros_from_impression < {{ var('adx_click_fastest_millis') * 1000 }},
            false
        ) as is_too_fast,
        clicks.has_consent
            and clicks.user_id is not null
            and clicks.crowd_began_at is not null
            and {{ adx.micros_between('clicks.crowd_began_at', 'clicks.clicked_at') }} < 3600000000 as is_flood
    from clicks
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('click_quality', 'clicks.click_date') }}
    {%- endif %}

)

select
    judged.event_id,
    judged.impression_key,
    judged.campaign_id,
    judged.advertiser_id,
    judged.exchange_id,
    judged.publisher_id,
    judged.clicked_at,
    cast(cast(judged.micros_from_impression as decimal(18, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(25, 6)) as seconds_from_impression,
    judged.is_givt,
    judged.is_repeat,
    judged.is_before_impression,
    judged.is_too_fast,
    judged.is_flood,
    judged.is_repeat or judged.is_before_impression or judged.is_too_fast or judged.is_flood as is_spam,
    {{ adx.as_text("case
        when judged.is_before_impression then 'before_impression'
        when judged.is_repeat then 'repeat'
        when judged.is_too_fast then 'too_fast'
        when judged.is_flood then 'flood'
    end") }} as spam_reason,
    judged.load_id,
    judged.click_date
from judged
