{{ adx.touched_days_config('attribution', 'conversion_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}

with conversions as (

    select
        facts.*,
        advertisers.click_lookback_hours,
        advertisers.view_lookback_hours
    from {{ ref('fct_conversions') }} as facts
    inner join {{ ref('stg_advertisers') }} as advertisers
        on facts.advertiser_id = advertisers.advertiser_id
    where facts.has_consent
        and facts.user_id is not null
        {%- if incremental %}
        and {{ adx.is_touched('attribution', 'facts.conversion_date') }}
        {%- endif %}

),

{%- if incremental %}

-- Not bounded by adx_lookback_days: a touch counts as far back as an advertiser's window reaches.
bounds as (

    select
        {{ adx.add_days('min(conversions.conversion_date)', '-1 * ' ~ adx.days_covering_hours(
            'max(greatest(conversions.click_lookback_hours, conversions.view_lookback_hours))'
        )) }} as first_date,
        max(conversions.conversion_date) as last_date
    from conversions

),
{%- endif %}

touches as (

    select
        {{ adx.as_text("'click'") }} as touch_type,
        clicks.event_id as touch_event_id,
        clicks.clicked_at as touched_at,
        clicks.impression_key,
        clicks.campaign_id,
        clicks.creative_id,
        clicks.user_id,
        clicks.advertiser_id,
        clicks.load_id
    from {{ ref('fct_clicks') }} as clicks
    {%- if incremental %}
    inner join bounds
        on clicks.click_date between bounds.first_date and bounds.last_date
    {%- endif %}
    where clicks.has_consent
        and not clicks.is_givt
        and clicks.user_id is not null
    union all
    select
        {{ adx.as_text("'view'") }} as touch_type,
        impressions.rendered_event_id as touch_event_id,
        impressions.rendered_at as touched_at,
        impressions.impression_key,
        impressions.campaign_id,
        impressions.creative_id,
        impressions.user_id,
        impressions.advertiser_id,
        impressions.load_id
    from {{ ref('fct_impressions') }} as impressions
    {%- if incremental %}
    inner join bounds
        on impressions.impression_date between {{ adx.add_days('bounds.first_date', -lookback) }}
            and {{ adx.add_days('bounds.last_date', lookback) }}
    {%- endif %}
    where impressions.rendered_at is not null
        and impressions.has_consent
        and not impressions.is_givt
        and impressions.user_id is not null

),

-- Both edges of a window are inside it. A click beats every view; then the latest touch, and the
-- highest event id among touches of one microsecond.
ranked as (

    select
        conversions.event_id as conversion_event_id,
        conversions.order_id,
        conversions.conversion_type,
        conversions.advertiser_id,
        conversions.converted_at,
        conversions.value_micros,
        conversions.value_currency,
        conversions.revenue_micros,
        conversions.currency,
        conversions.conversion_date,
        touches.touch_type,
        touches.touch_event_id,
        touches.touched_at,
        touches.impression_key,
        touches.campaign_id,
        touches.creative_id,
        greatest(conversions.load_id, touches.load_id) as load_id,
        row_number() over (
            partition by conversions.event_id
            order by
                case touches.touch_type when 'click' then 0 else 1 end,
                touches.touched_at desc,
                touches.touch_event_id desc
        ) as touch_rank
    from conversions
    inner join touches
        on conversions.user_id = touches.user_id
        and conversions.advertiser_id = touches.advertiser_id
        and touches.touched_at <= conversions.converted_at
    where touches.touched_at >= {{ adx.add_time(
        'conversions.converted_at',
        "-1 * case touches.touch_type when 'click' then conversions.click_lookback_hours else conversions.view_lookback_hours end",
        'hour'
    ) }}

)

select
    ranked.conversion_event_id,
    {{ adx.as_text("'last_touch'") }} as model,
    ranked.touch_event_id,
    ranked.touch_type,
    ranked.touched_at,
    ranked.impression_key,
    ranked.campaign_id,
    ranked.creative_id,
    ranked.advertiser_id,
    ranked.order_id,
    ranked.conversion_type,
    ranked.converted_at,
    {{ adx.micros_between('ranked.touched_at', 'ranked.converted_at') }} as micros_to_conversion,
    cast(1 as decimal(9, 8)) as credit,
    ranked.value_micros as credited_value_micros,
    ranked.value_currency,
    ranked.revenue_micros as credited_revenue_micros,
    ranked.currency,
    ranked.load_id,
    ranked.conversion_date
from ranked
where ranked.touch_rank = 1
