{{ adx.touched_days_config('attribution', 'conversion_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set lookback = var('adx_lookback_days') %}
{%- set kept = var('adx_touches_per_conversion') %}

with conversions as (

    select
        facts.*,
        {{ adx.narrow_key(['facts.event_id']) }} as conversion_key,
        {{ adx.narrow_key(['facts.user_id', 'facts.advertiser_id']) }} as user_key,
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

converting_users as (

    select distinct
        conversions.user_id,
        conversions.advertiser_id,
        conversions.user_key
    from conversions

),

{%- if incremental %}

-- Not bounded by adx_lookback_days: a touch counts as far back as an advertiser's window reaches.
bounds as (

    select
        {%- for touch_type in ['click', 'view'] %}
        {{ adx.add_days('min(conversions.conversion_date)', '-1 * ' ~ adx.days_covering_hours(
            'max(conversions.' ~ touch_type ~ '_lookback_hours)'
        )) }} as first_{{ touch_type }}_date,
        {%- endfor %}
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
        converting_users.user_key,
        clicks.load_id
    from {{ ref('fct_clicks') }} as clicks
    inner join converting_users
        on clicks.user_id = converting_users.user_id
        and clicks.advertiser_id = converting_users.advertiser_id
    {%- if incremental %}
    inner join bounds
        on clicks.click_date between bounds.first_click_date and bounds.last_date
    {%- endif %}
    where clicks.has_consent
        and not clicks.is_givt
    union all
    select
        {{ adx.as_text("'view'") }} as touch_type,
        impressions.rendered_event_id as touch_event_id,
        impressions.rendered_at as touched_at,
        impressions.impression_key,
        impressions.campaign_id,
        impressions.creative_id,
        converting_users.user_key,
        impressions.load_id
    from {{ ref('fct_impressions') }} as impressions
    inner join converting_users
        on impressions.user_id = converting_users.user_id
        and impressions.advertiser_id = converting_users.advertiser_id
    {%- if incremental %}
    inner join bounds
        on impressions.impression_date between {{ adx.add_days('bounds.first_view_date', -lookback) }}
            and {{ adx.add_days('bounds.last_date', lookback) }}
    {%- endif %}
    where impressions.rendered_at is not null
        and impressions.has_consent
        and not impressions.is_givt

),

-- A user's touches with a conversion, in one order with the edges of its windows: what the edges
-- see is which touches, by number, are inside. A join by time would pair every conversion of a
-- busy user with every touch. Sorted is only what decides the order; the rest is joined at the end.
marks as (

    select
        touches.touch_type,
        touches.touch_event_id,
        touches.touched_at,
        touches.impression_key,
        touches.user_key,
        1 as mark_order,
        {{ adx.no_narrow_key() }} as conversion_key
    from touches
    {%- for touch_type in ['click', 'view'] %}
    {#- Both edges are inside: at one microsecond the window opens first and closes last. #}
    {%- for order, edge in [
        (0, adx.add_time('conversions.converted_at', '-1 * conversions.' ~ touch_type ~ '_lookback_hours', 'hour')),
        (2, 'conversions.converted_at'),
    ] %}
    union all
    select
        {{ adx.as_text("'" ~ touch_type ~ "'") }} as touch_type,
        {{ adx.as_text('null') }} as touch_event_id,
        {{ edge }} as touched_at,
        {{ adx.as_text('null') }} as impression_key,
        conversions.user_key,
        {{ order }} as mark_order,
        conversions.conversion_key
    from conversions
    {%- endfor %}
    {%- endfor %}

),

numbered as (

    select
        marks.*,
        {{ adx.as_bigint("sum(case when marks.mark_order = 1 then 1 else 0 end) over (
            partition by marks.user_key, marks.touch_type
            order by marks.touched_at, marks.mark_order, marks.touch_event_id
            rows between unbounded preceding and current row
        )") }} as touch_number
    from marks

),

windows as (

    select
        numbered.conversion_key,
        numbered.user_key,
        numbered.touch_type,
        {{ adx.value_where('numbered.touch_number', 'numbered.mark_order = 0') }} as number_before,
        {{ adx.value_where('numbered.touch_number', 'numbered.mark_order = 2') }} as last_number
    from numbered
    where numbered.mark_order in (0, 2)
    group by numbered.conversion_key, numbered.user_key, numbered.touch_type

),

-- Of a longer row of touches of one type the newest stay, and the first.
kept as (

    select
        windows.*,
        case
            when steps.step = {{ kept - 1 }} then windows.number_before + 1
            else windows.last_number - steps.step
        end as touch_number
    from windows
    cross join ({{ adx.numbers(0, kept - 1, 'step') }}) as steps
    where steps.step < windows.last_number - windows.number_before

),

paired as (

    select
        kept.conversion_key,
        touches.touch_type,
        touches.touch_event_id,
        touches.touched_at,
        touches.impression_key
    from kept
    inner join numbered as touches
        on kept.user_key = touches.user_key
        and kept.touch_type = touches.touch_type
        and kept.touch_number = touches.touch_number
        and touches.mark_order = 1

),

clicked as (

    select distinct
        paired.conversion_key,
        paired.impression_key
    from paired
    where paired.touch_type = 'click'
        and paired.impression_key is not null

),

ranked as (

    select
        paired.conversion_key,
        paired.touch_type,
        paired.touch_event_id,
        cast(row_number() over (
            partition by paired.conversion_key
            order by
                paired.touched_at,
                case paired.touch_type when 'view' then 0 else 1 end,
                paired.touch_event_id
        ) as bigint) as touch_position,
        cast(count(*) over (partition by paired.conversion_key) as bigint) as touch_count,
        -- A click beats every view; then the latest touch, and the highest event id among touches of
        -- one microsecond.
        cast(row_number() over (
            partition by paired.conversion_key
            order by
                case paired.touch_type when 'click' then 0 else 1 end,
                paired.touched_at desc,
                paired.touch_event_id desc
        ) as bigint) as last_touch_rank
    from paired
    left join clicked
        on paired.conversion_key = clicked.conversion_key
        and paired.impression_key = clicked.impression_key
    -- The view and the click of one impression are one touch, and the click is it.
    where paired.touch_type = 'click'
        or clicked.conversion_key is null

)

select
    conversions.event_id as conversion_event_id,
    ranked.touch_event_id,
    ranked.touch_type,
    touches.touched_at,
    {{ adx.micros_between('touches.touched_at', 'conversions.converted_at') }} as micros_to_conversion,
    ranked.touch_position,
    ranked.touch_count,
    ranked.last_touch_rank,
    touches.impression_key,
    touches.campaign_id,
    touches.creative_id,
    conversions.advertiser_id,
    conversions.user_id,
    conversions.order_id,
    conversions.conversion_type,
    conversions.converted_at,
    conversions.value_micros,
    conversions.value_currency,
    conversions.revenue_micros,
    conversions.currency,
    greatest(conversions.load_id, touches.load_id) as load_id,
    conversions.conversion_date
from ranked
inner join touches
    on ranked.touch_type = touches.touch_type
    and ranked.touch_event_id = touches.touch_event_id
inner join conversions
    on ranked.conversion_key = conversions.conversion_key
