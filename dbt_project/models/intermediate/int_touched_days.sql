{{ config(materialized='table') }}

{%- set lookback = var('adx_lookback_days') -%}
{%- set event_tables = [
    'bid_requests', 'bid_responses', 'bid_notices', 'ad_impressions', 'clicks', 'conversions',
] -%}
{#- Everything that is built by days of events; a test holds the models to this list. -#}
{%- set entities = event_tables + [
    'impression', 'auction', 'click', 'attribution', 'campaign', 'campaign_local', 'quality',
    'exchange', 'click_quality', 'session', 'ivt', 'offsets',
] -%}
{#- An entity whose days reach to neighbours of the days of events: by how many days, from and to. -#}
{%- set shifts = {
    'campaign_local': (-1, 1), 'click_quality': (0, 1), 'session': (-1, 3), 'ivt': (0, 1),
} -%}

with touched_events as (

    select touched.*
    from {{ ref('int_touched_events') }} as touched

),

-- Impressions: everything that one bid became, by the four ids of the bid.
touched_bids as (

    select distinct
        {{ adx.bid_key_columns('touched_events') }},
        touched_events.event_date
    from touched_events
    where touched_events.table_name in ('bid_responses', 'bid_notices', 'ad_impressions')
        and touched_events.bid_id is not null

),

events_of_touched_bids as (

    select
        impressions.event_date,
        impressions.impression_id,
        impressions.user_id,
        impressions.advertiser_id
    from {{ ref('stg_ad_impressions') }} as impressions
    inner join touched_bids
        on {{ adx.same_bid('impressions', 'touched_bids') }}
        and impressions.event_date between {{ adx.add_days('touched_bids.event_date', -lookback) }}
            and {{ adx.add_days('touched_bids.event_date', lookback) }}
    union
    select
        touched_events.event_date,
        touched_events.impression_id,
        touched_events.user_id,
        touched_events.advertiser_id
    from touched_events
    where touched_events.table_name = 'ad_impressions'

),

impression_days as (

    select events_of_touched_bids.event_date
    from events_of_touched_bids
    union
    select notices.event_date
    from {{ ref('stg_bid_notices') }} as notices
    inner join touched_bids
        on {{ adx.same_bid('notices', 'touched_bids') }}
        and notices.event_date between {{ adx.add_days('touched_bids.event_date', -lookback) }}
            and {{ adx.add_days('touched_bids.event_date', lookback) }}
    union
    select touched_events.event_date
    from touched_events
    where touched_events.table_name = 'bid_notices'

),

-- Auctions: the requests of one exchange that share an id compete for the same responses.
touched_requests as (

    select distinct
        touched_events.exchange_id,
        touched_events.request_id,
        touched_events.event_date
    from touched_events
    where touched_events.table_name in ('bid_requests', 'bid_responses', 'bid_notices')

),

auction_days as (

    select requests.event_date
    from {{ ref('stg_bid_requests') }} as requests
    inner join touched_requests
        on requests.exchange_id = touched_requests.exchange_id
        and requests.request_id = touched_requests.request_id
        and requests.event_date between {{ adx.add_days('touched_requests.event_date', -lookback) }}
            and {{ adx.add_days('touched_requests.event_date', lookback) }}
    union
    select touched_events.event_date
    from touched_events
    where touched_events.table_name = 'bid_requests'

),

-- Clicks carry columns of their impression.
touched_impressions as (

    select distinct
        events_of_touched_bids.impression_id,
        events_of_touched_bids.event_date
    from events_of_touched_bids
    where events_of_touched_bids.impression_id is not null

),

clicks_of_touched_impressions as (

    select
        clicks.user_id,
        clicks.advertiser_id,
        clicks.event_date
    from {{ ref('stg_clicks') }} as clicks
    inner join touched_impressions
        on clicks.impression_id = touched_impressions.impression_id
        and clicks.event_date between {{ adx.add_days('touched_impressions.event_date', -lookback) }}
            and {{ adx.add_days('touched_impressions.event_date', lookback) }}

),

click_days as (

    select clicks.event_date
    from clicks_of_touched_impressions as clicks
    union
    select touched_events.event_date
    from touched_events
    where touched_events.table_name = 'clicks'

),

-- Attribution: a touch that came, changed or went restates the conversions after it, as far ahead
-- as the widest look-back window reaches.
horizon as (

    select {{ adx.days_covering_hours('coalesce(max(greatest(
        advertisers.click_lookback_hours, advertisers.view_lookback_hours
    )), 0)') }} as days
    from {{ ref('stg_advertisers') }} as advertisers

),

touches as (

    select
        events_of_touched_bids.user_id,
        events_of_touched_bids.advertiser_id,
        events_of_touched_bids.event_date
    from events_of_touched_bids
    union
    select
        touched_events.user_id,
        touched_events.advertiser_id,
        touched_events.event_date
    from touched_events
    where touched_events.table_name = 'clicks'
    union
    -- A click brings the creative of its impression to the conversion, whoever saw the impression.
    select
        clicks.user_id,
        clicks.advertiser_id,
        clicks.event_date
    from clicks_of_touched_impressions as clicks

),

attribution_days as (

    select conversions.event_date
    from {{ ref('stg_conversions') }} as conversions
    inner join touches
        on conversions.user_id = touches.user_id
        and conversions.advertiser_id = touches.advertiser_id
        and conversions.event_date >= touches.event_date
    cross join horizon
    where conversions.event_date <= {{ adx.add_days('touches.event_date', 'horizon.days') }}
    union
    select touched_events.event_date
    from touched_events
    where touched_events.table_name = 'conversions'

),

-- New weights of a training window divide its conversions anew; no campaign's figures follow them.
retrained_days as (

    select conversions.event_date
    from {{ ref('stg_conversions') }} as conversions
    inner join (
        select distinct
            weights.advertiser_id,
            weights.window_start,
            weights.window_end
        from {{ ref('stg_attribution_weights') }} as weights
        cross join (
            select max(builds.completed_at) as completed_at
            from {{ ref('stg_builds') }} as builds
        ) as last_build
        where weights.trained_at > last_build.completed_at
    ) as retrained
        on conversions.advertiser_id = retrained.advertiser_id
        and conversions.event_date >= retrained.window_start
        and conversions.event_date < retrained.window_end

),

changed_rejects as (

    select
        rejects.event_date,
        cast(coalesce(rejects.kafka_timestamp, cast(rejects.event_date as timestamp)) as date) as arrival_date
    from {{ ref('stg_rejects') }} as rejects
    cross join {{ ref('int_changed_loads') }} as loads
    where rejects.load_id > loads.from_load_id

),

-- When everything is to be rebuilt: every day that has or had anything.
all_rows as (

    {%- for table in event_tables %}
    select distinct
        rows_of_table.event_date,
        cast(rows_of_table.kafka_timestamp as date) as arrival_date
    from {{ ref('stg_' ~ table) }} as rows_of_table
    union
    {%- endfor %}
    select
        rejects.event_date,
        cast(coalesce(rejects.kafka_timestamp, cast(rejects.event_date as timestamp)) as date) as arrival_date
    from {{ ref('stg_rejects') }} as rejects
    union
    select
        removed_rows.event_date,
        cast(null as date) as arrival_date
    from {{ ref('stg_removed_rows') }} as removed_rows

),

all_days as (

    select
        all_rows.event_date,
        all_rows.arrival_date
    from all_rows
    cross join {{ ref('int_changed_loads') }} as loads
    where loads.from_load_id < 0

),

campaign_days as (

    select impression_days.event_date
    from impression_days
    union
    select click_days.event_date
    from click_days
    union
    select attribution_days.event_date
    from attribution_days

),

session_days as (

    select impression_days.event_date
    from impression_days
    union
    select click_days.event_date
    from click_days
    union
    select touched_events.event_date
    from touched_events
    where touched_events.table_name = 'conversions'

),

days as (

    select
        touched_events.table_name as entity,
        touched_events.event_date as touched_date
    from touched_events
    union
    select 'impression', impression_days.event_date
    from impression_days
    union
    select 'auction', auction_days.event_date
    from auction_days
    union
    select 'click', click_days.event_date
    from click_days
    union
    select 'attribution', attribution_days.event_date
    from attribution_days
    union
    select 'attribution', retrained_days.event_date
    from retrained_days
    union
    select 'campaign', campaign_days.event_date
    from campaign_days
    union
    -- A local day lies on at most two UTC days, one of them its own date or a neighbour of it.
    select 'campaign_local', {{ adx.add_days('campaign_days.event_date', 'shift.days') }}
    from campaign_days
    cross join ({{ adx.numbers(-1, 1) }}) as shift
    union
    -- A click is judged by those of the 24 hours before it.
    select 'click_quality', {{ adx.add_days('click_days.event_date', 'shift.days') }}
    from click_days
    cross join ({{ adx.numbers(0, 1) }}) as shift
    union
    -- A session goes on until the next day, and whether it began anew depends on the days before it.
    select 'session', {{ adx.add_days('session_days.event_date', 'shift.days') }}
    from session_days
    cross join ({{ adx.numbers(-1, 3) }}) as shift
    union
    -- A user's impressions and clicks are counted with those of the hour before.
    select 'ivt', {{ adx.add_days('traffic_days.event_date', 'shift.days') }}
    from (
        select impression_days.event_date
        from impression_days
        union
        select click_days.event_date
        from click_days
    ) as traffic_days
    cross join ({{ adx.numbers(0, 1) }}) as shift
    union
    select 'quality', touched_events.event_date
    from touched_events
    union
    select 'quality', changed_rejects.event_date
    from changed_rejects
    union
    select 'offsets', touched_events.event_date
    from touched_events
    union
    select 'offsets', changed_rejects.event_date
    from changed_rejects
    union
    -- A copy may change what became of one that arrived before it, and that one is touched too.
    select 'arrival', touched_events.arrival_date
    from touched_events
    union
    select 'arrival', changed_rejects.arrival_date
    from changed_rejects
    {%- for entity in entities %}
    union
    select '{{ entity }}', {{ adx.add_days('all_days.event_date', 'shift.days') }}
    from all_days
    cross join ({{ adx.numbers(*shifts.get(entity, (0, 0))) }}) as shift
    {%- endfor %}
    union
    select 'arrival', all_days.arrival_date
    from all_days
    union
    select 'exchange', auction_days.event_date
    from auction_days
    union
    select 'exchange', impression_days.event_date
    from impression_days
    union
    select 'exchange', click_days.event_date
    from click_days

)

select
    {{ adx.as_text('days.entity') }} as entity,
    cast(days.touched_date as date) as touched_date
from days
cross join {{ ref('int_rebuild_limit') }} as rebuild_limit
where days.touched_date is not null
    -- No figure can be made of half a day. Offsets that expired are counted by what stands for them, and
    -- rejects do not expire.
    and (
        days.entity = 'offsets'
        or days.touched_date >= rebuild_limit.first_date
        or (
            days.entity in ('{{ event_tables | join("', '") }}')
            and days.touched_date >= rebuild_limit.first_event_date
        )
    )
