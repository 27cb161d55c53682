{{ adx.touched_days_config('ivt', 'event_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}
{%- set per_hour = var('adx_impressions_per_user_hour') %}

with impressions as {{ adx.read_twice() }}(

    select
        facts.impression_key,
        facts.campaign_id,
        facts.advertiser_id,
        facts.exchange_id,
        facts.publisher_id,
        case when facts.has_consent then facts.user_id end as user_id,
        facts.is_givt,
        facts.givt_reason,
        facts.bid_at,
        facts.rendered_at,
        facts.viewable_at,
        coalesce(facts.spend_micros, 0) as spend_micros,
        facts.load_id,
        cast(facts.rendered_at as date) as event_date
    from {{ ref('fct_impressions') }} as facts
    where facts.rendered_at is not null
    {%- if incremental %}
        and {{ adx.is_near_touched('ivt', 'facts.impression_date', before=lookback + 1, after=lookback) }}
        and {{ adx.is_near_touched('ivt', 'cast(facts.rendered_at as date)', before=1, after=0) }}
    {%- endif %}

),

-- Of more than N impressions in an hour, more than half of N lie in one hour of the clock: only such
-- users are put in order.
busy_users as (

    select distinct busy_hours.user_id
    from (
        select impressions.user_id
        from impressions
        where impressions.user_id is not null
        group by impressions.user_id, {{ adx.hour_of('impressions.rendered_at') }}
        having count(*) * 2 > {{ per_hour }}
    ) as busy_hours

),

crowds as (

    select
        impressions.impression_key,
        impressions.rendered_at,
        -- The N-th impression before this one.
        lag(impressions.rendered_at, {{ per_hour }}) over (
            partition by impressions.user_id
            order by impressions.rendered_at, impressions.impression_key
        ) as crowd_began_at
    from impressions
    inner join busy_users on impressions.user_id = busy_users.user_id

),

floods as (

    select crowds.impression_key
    from crowds
    where crowds.crowd_began_at is not null
        and {{ adx.micros_between('crowds.crowd_began_at', 'crowds.rendered_at') }} < 3600000000

),

sivt_users as (

    select
        users.user_id,
        users.sivt_score,
        users.load_id,
        users.activity_date
    from {{ ref('fct_sivt_user_days') }} as users
    where users.is_sivt
    {%- if incremental %}
        and {{ adx.is_touched('ivt', 'users.activity_date') }}
    {%- endif %}

),

judged_impressions as (

    select
        impressions.*,
        sivt_users.sivt_score,
        case
            when impressions.is_givt then 'list'
            when floods.impression_key is not null
                or {{ adx.micros_between('impressions.rendered_at', 'impressions.bid_at') }}
                    > {{ var('adx_clock_skew_seconds') * 1000000 }}
                or {{ adx.micros_between('impressions.rendered_at', 'impressions.viewable_at') }}
                    between 0 and {{ var('adx_viewable_fastest_millis') * 1000 - 1 }}
                then 'activity'
            when sivt_users.user_id is not null then 'score'
        end as ivt_method,
        case
            when impressions.is_givt then coalesce(impressions.givt_reason, 'list')
            when {{ adx.micros_between('impressions.rendered_at', 'impressions.bid_at') }}
                > {{ var('adx_clock_skew_seconds') * 1000000 }} then 'rendered_before_bid'
            -- Viewable before it was rendered is a clock that was set meanwhile, and proves nothing.
            when {{ adx.micros_between('impressions.rendered_at', 'impressions.viewable_at') }}
                between 0 and {{ var('adx_viewable_fastest_millis') * 1000 - 1 }} then 'viewable_too_soon'
            when floods.impression_key is not null then 'flood'
            when sivt_users.user_id is not null then 'behaviour'
        end as ivt_reason,
        greatest(impressions.load_id, coalesce(sivt_users.load_id, -1)) as newest_load_id
    from impressions
    left join floods on impressions.impression_key = floods.impression_key
    left join sivt_users
        on impressions.user_id = sivt_users.user_id
        and impressions.event_date = sivt_users.activity_date
    {%- if incremental %}
    where {{ adx.is_touched('ivt', 'impressions.event_date') }}
    {%- endif %}

),

judged_clicks as (

    select
        clicks.event_id,
        clicks.campaign_id,
        clicks.advertiser_id,
        clicks.exchange_id,
        clicks.publisher_id,
        clicks.clicked_at,
        sivt_users.sivt_score,
        case
            when clicks.is_givt then 'list'
            when quality.is_spam or clicks.impression_key is null then 'activity'
            when sivt_users.user_id is not null then 'score'
        end as ivt_method,
        case
            when clicks.is_givt then coalesce(clicks.givt_reason, 'list')
            when quality.is_spam then quality.spam_reason
            when clicks.impression_key is null then 'without_impression'
            when sivt_users.user_id is not null then 'behaviour'
        end as ivt_reason,
        greatest(clicks.load_id, quality.load_id, coalesce(sivt_users.load_id, -1)) as newest_load_id,
        clicks.click_date as event_date
    from {{ ref('fct_clicks') }} as clicks
    inner join {{ ref('fct_click_quality') }} as quality
        on clicks.event_id = quality.event_id
        and clicks.click_date = quality.click_date
    left join sivt_users
        on clicks.user_id = sivt_users.user_id
        and clicks.has_consent
        and clicks.click_date = sivt_users.activity_date
    {%- if incremental %}
    where {{ adx.is_touched('ivt', 'clicks.click_date') }}
        and {{ adx.is_touched('ivt', 'quality.click_date') }}
    {%- endif %}

)

select
    {{ adx.as_text("'impression'") }} as kind,
    judged.impression_key as event_key,
    judged.campaign_id,
    judged.advertiser_id,
    judged.exchange_id,
    {{ adx.as_text("coalesce(judged.publisher_id, 'unknown')") }} as publisher_id,
    judged.rendered_at as happened_at,
    {{ adx.as_text("case when judged.ivt_method = 'score' then 'sivt' else 'givt' end") }} as ivt_class,
    {{ adx.as_text('judged.ivt_method') }} as ivt_method,
    {{ adx.as_text('judged.ivt_reason') }} as ivt_reason,
    judged.sivt_score,
    cast(judged.spend_micros as bigint) as spend_micros,
    judged.newest_load_id as load_id,
    judged.event_date
from judged_impressions as judged
where judged.ivt_method is not null
union all
select
    {{ adx.as_text("'click'") }} as kind,
    judged.event_id as event_key,
    judged.campaign_id,
    judged.advertiser_id,
    {{ adx.as_text("coalesce(judged.exchange_id, 'unknown')") }} as exchange_id,
    {{ adx.as_text("coalesce(judged.publisher_id, 'unknown')") }} as publisher_id,
    judged.clicked_at as happened_at,
    {{ adx.as_text("case when judged.ivt_method = 'score' then 'sivt' else 'givt' end") }} as ivt_class,
    {{ adx.as_text('judged.ivt_method') }} as ivt_method,
    {{ adx.as_text('judged.ivt_reason') }} as ivt_reason,
    judged.sivt_score,
    cast(0 as bigint) as spend_micros,
    judged.newest_load_id as load_id,
    judged.event_date
from judged_clicks as judged
where judged.ivt_method is not null
