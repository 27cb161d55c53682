{{ config(materialized='view') }}

-- What the Markov chain of a training window counts: how often a path steps from one campaign to
-- the next, and how it ends. A path is a conversion's touches, or the touches of a user in a month
-- that led to no conversion.
with converting as (

    select
        touches.advertiser_id,
        cast(date_trunc('month', touches.conversion_date) as date) as window_start,
        touches.conversion_event_id as path_key,
        touches.touch_position,
        touches.campaign_id,
        touches.revenue_micros
    from {{ ref('int_attribution_touches') }} as touches

),

touched as (

    select
        clicks.advertiser_id,
        clicks.user_id,
        clicks.event_id as touch_event_id,
        clicks.impression_key,
        clicks.campaign_id,
        clicks.clicked_at as touched_at,
        cast(date_trunc('month', clicks.clicked_at) as date) as window_start,
        1 as is_click
    from {{ ref('fct_clicks') }} as clicks
    where clicks.has_consent
        and not clicks.is_givt
        and clicks.user_id is not null
    union all
    select
        impressions.advertiser_id,
        impressions.user_id,
        impressions.rendered_event_id as touch_event_id,
        impressions.impression_key,
        impressions.campaign_id,
        impressions.rendered_at as touched_at,
        cast(date_trunc('month', impressions.rendered_at) as date) as window_start,
        0 as is_click
    from {{ ref('fct_impressions') }} as impressions
    where impressions.rendered_at is not null
        and impressions.has_consent
        and not impressions.is_givt
        and impressions.user_id is not null

),

-- The view of a clicked impression is part of its click, here as there. Every window is cut by the
-- month, so that asking for one month reads no other.
paired as (

    select
        touched.*,
        max(touched.is_click) over (
            partition by
                touched.advertiser_id, touched.window_start, touched.user_id, touched.impression_key
        ) as is_clicked
    from touched

),

leading_nowhere as (

    select
        paired.advertiser_id,
        paired.window_start,
        paired.user_id as path_key,
        row_number() over (
            partition by paired.advertiser_id, paired.window_start, paired.user_id
            order by paired.touched_at, paired.is_click, paired.touch_event_id
        ) as touch_position,
        paired.campaign_id
    from paired
    left join (
        select distinct touches.touch_event_id, touches.advertiser_id
        from {{ ref('int_attribution_touches') }} as touches
    ) as converted
        on paired.touch_event_id = converted.touch_event_id
        and paired.advertiser_id = converted.advertiser_id
    where converted.touch_event_id is null
        and (paired.is_click = 1 or paired.impression_key is null or paired.is_clicked = 0)

),

paths as (

    select
        converting.*,
        1 as is_converting
    from converting
    union all
    select
        leading_nowhere.advertiser_id,
        leading_nowhere.window_start,
        leading_nowhere.path_key,
        leading_nowhere.touch_position,
        leading_nowhere.campaign_id,
        cast(0 as bigint) as revenue_micros,
        0 as is_converting
    from leading_nowhere
    where leading_nowhere.touch_position <= {{ var('adx_touches_per_conversion') }}

),

steps as (

    select
        paths.*,
        lag(paths.campaign_id) over (
            partition by paths.advertiser_id, paths.window_start, paths.is_converting, paths.path_key
            order by paths.touch_position
        ) as previous_campaign_id,
        lead(paths.campaign_id) over (
            partition by paths.advertiser_id, paths.window_start, paths.is_converting, paths.path_key
            order by paths.touch_position
        ) as next_campaign_id
    from paths

)

select
    steps.advertiser_id,
    cast(steps.window_start as date) as window_start,
    -- Null: the path begins here.
    steps.previous_campaign_id as from_campaign_id,
    steps.campaign_id as to_campaign_id,
    {{ adx.count_bigint() }} as steps,
    {{ adx.count_where('steps.next_campaign_id is null and steps.is_converting = 1') }} as conversions,
    {{ adx.sum_bigint('case when steps.next_campaign_id is null and steps.revenue_micros > 0 then steps.revenue_micros else 0 end') }} as revenue_micros,
    {{ adx.count_where('steps.next_campaign_id is null and steps.is_converting = 0') }} as losses
from steps
group by
    steps.advertiser_id,
    steps.window_start,
    steps.previous_campaign_id,
    steps.campaign_id
