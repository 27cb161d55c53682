-- Made of small tables only, so every build makes it anew: a new budget or flight then needs no day to
-- be rebuilt.
with flights as (

    select
        flights.campaign_id,
        flights.starts_at,
        flights.ends_at,
        flights.budget_micros,
        campaigns.advertiser_id,
        campaigns.daily_budget_micros,
        campaigns.total_budget_micros,
        coalesce(advertisers.time_zone, 'UTC') as time_zone,
        coalesce(advertisers.currency, {{ adx.no_currency() }}) as currency,
        {{ adx.whole_seconds_between('flights.starts_at', 'flights.ends_at') }} as flight_seconds
    from {{ ref('stg_flights') }} as flights
    inner join {{ ref('stg_campaigns') }} as campaigns
        on flights.campaign_id = campaigns.campaign_id
    left join {{ ref('stg_advertisers') }} as advertisers
        on campaigns.advertiser_id = advertisers.advertiser_id
    -- A shorter one has no pace.
    where flights.ends_at >= {{ adx.add_time('flights.starts_at', 1, 'minute') }}

),

zone_bounds as (

    select
        flights.time_zone,
        {{ adx.add_days('min(cast(flights.starts_at as date))', -1) }} as first_date,
        {{ adx.add_days('max(cast(flights.ends_at as date))', 1) }} as last_date
    from flights
    group by flights.time_zone

),

-- What will be delivered is not known yet: days end with the last one that has any figures.
last_day as (

    select max(daily.local_date) as local_date
    from {{ ref('agg_campaign_daily') }} as daily

),

dates as (

    select
        zone_bounds.time_zone,
        {{ adx.add_days('zone_bounds.first_date', 'thousands.n * 1000 + hundreds.n * 100 + tens.n * 10 + ones.n') }} as local_date
    from zone_bounds
    cross join last_day
    {%- for digit in ['ones', 'tens', 'hundreds', 'thousands'] %}
    cross join ({{ adx.numbers(0, 9, 'n') }}) as {{ digit }}
    {%- endfor %}
    -- One day more, whose beginning ends the last one.
    where {{ adx.add_days('zone_bounds.first_date', 'thousands.n * 1000 + hundreds.n * 100 + tens.n * 10 + ones.n') }}
        <= least(zone_bounds.last_date, {{ adx.add_days('last_day.local_date', 1) }})

),

spans as (

    select
        offsets.time_zone,
        offsets.utc_from,
        offsets.utc_to,
        offsets.offset_minutes
    from {{ ref('stg_time_zone_offsets') }} as offsets
    union all
    select
        zone_bounds.time_zone,
        cast('1900-01-01 00:00:00' as timestamp) as utc_from,
        cast('2200-01-01 00:00:00' as timestamp) as utc_to,
        0 as offset_minutes
    from zone_bounds
    where zone_bounds.time_zone not in (
        select known.time_zone from {{ ref('stg_time_zone_offsets') }} as known
    )

),

-- A local day begins at the first instant whose local time is not before its midnight: where clocks
-- jump over midnight that is the jump, and where they go back over it the first of the two.
day_starts as (

    select
        dates.time_zone,
        dates.local_date,
        min(greatest(
            spans.utc_from,
            {{ adx.add_time('cast(dates.local_date as timestamp)', '-1 * spans.offset_minutes', 'minute') }}
        )) as starts_at
    from dates
    inner join spans
        on dates.time_zone = spans.time_zone
        and {{ adx.add_time('cast(dates.local_date as timestamp)', '-1 * spans.offset_minutes', 'minute') }} < spans.utc_to
    group by dates.time_zone, dates.local_date

),

days as (

    select
        day_starts.time_zone,
        day_starts.local_date,
        day_starts.starts_at,
        lead(day_starts.starts_at) over (
            partition by day_starts.time_zone
            order by day_starts.local_date
        ) as ends_at
    from day_starts

),

running as (

    select distinct
        flights.campaign_id,
        days.local_date,
        days.starts_at as day_starts_at,
        days.ends_at as day_ends_at
    from flights
    inner join days
        on flights.time_zone = days.time_zone
        and days.starts_at < flights.ends_at
        and days.ends_at > flights.starts_at

),

-- All flights of a campaign count on each of its days: the past ones wholly, those to come not yet.
elapsed as (

    select
        running.campaign_id,
        running.local_date,
        running.day_starts_at,
        running.day_ends_at,
        flights.advertiser_id,
        flights.time_zone,
        flights.currency,
        flights.daily_budget_micros,
        flights.total_budget_micros,
        flights.budget_micros,
        flights.flight_seconds,
        {{ adx.whole_seconds_between(
            'flights.starts_at',
            'least(greatest(running.day_ends_at, flights.starts_at), flights.ends_at)'
        ) }} as elapsed_seconds
    from running
    inner join flights on running.campaign_id = flights.campaign_id

),

plans as (

    select
        elapsed.campaign_id,
        elapsed.local_date,
        elapsed.advertiser_id,
        elapsed.time_zone,
        elapsed.currency,
        elapsed.daily_budget_micros,
        elapsed.total_budget_micros,
        {{ adx.whole_seconds_between('elapsed.day_starts_at', 'elapsed.day_ends_at') }} as day_seconds,
        {{ adx.sum_bigint('elapsed.budget_micros') }} as flights_budget_micros,
        count(*) - count(elapsed.budget_micros) as flights_without_budget,
        {{ adx.sum_bigint(adx.integer_quotient(
            adx.wide('coalesce(elapsed.budget_micros, 0)') ~ ' * ' ~ adx.wide('elapsed.elapsed_seconds'),
            adx.wide('elapsed.flight_seconds')
        )) }} as flights_expected_micros,
        {{ adx.sum_bigint('elapsed.elapsed_seconds') }} as elapsed_seconds,
        {{ adx.sum_bigint('elapsed.flight_seconds') }} as flight_seconds,
        row_number() over (
            partition by elapsed.campaign_id
            order by elapsed.local_date
        ) as days_running
    from elapsed
    group by
        elapsed.campaign_id,
        elapsed.local_date,
        elapsed.advertiser_id,
        elapsed.time_zone,
        elapsed.currency,
        elapsed.daily_budget_micros,
        elapsed.total_budget_micros,
        elapsed.day_starts_at,
        elapsed.day_ends_at

),

expected as (

    select
        plans.*,
        {{ adx.as_text("case
            when plans.flights_without_budget = 0 then 'flights'
            when plans.total_budget_micros is not null then 'total'
            when plans.daily_budget_micros is not null then 'daily'
            else 'none'
        end") }} as budget_source
    from plans

),

days_with_spend as (

    select
        spent.campaign_id,
        spent.advertiser_id,
        spent.local_date,
        {{ adx.sum_bigint('spent.spend_micros') }} as spend_micros
    from (
        select
            daily.campaign_id,
            daily.advertiser_id,
            daily.local_date,
            daily.spend_micros
        from {{ ref('agg_campaign_daily') }} as daily
        union all
        select
            plans.campaign_id,
            plans.advertiser_id,
            plans.local_date,
            cast(0 as bigint) as spend_micros
        from plans
    ) as spent
    group by spent.campaign_id, spent.advertiser_id, spent.local_date

),

spent_to_date as (

    select
        days_with_spend.*,
        {{ adx.as_bigint('sum(days_with_spend.spend_micros) over (
            partition by days_with_spend.campaign_id, days_with_spend.advertiser_id
            order by days_with_spend.local_date
            rows between unbounded preceding and current row
        )') }} as spent_to_date_micros
    from days_with_spend

),

paced as (

    select
        expected.campaign_id,
        expected.advertiser_id,
        expected.time_zone,
        expected.currency,
        expected.day_seconds,
        expected.budget_source,
        expected.daily_budget_micros,
        case
            when expected.budget_source = 'flights' then expected.flights_budget_micros
            when expected.budget_source = 'total' then expected.total_budget_micros
        end as budget_micros,
        case
            when expected.budget_source = 'flights' then expected.flights_expected_micros
            when expected.budget_source = 'total' then {{ adx.integer_quotient(
                adx.wide('coalesce(expected.total_budget_micros, 0)') ~ ' * ' ~ adx.wide('expected.elapsed_seconds'),
                adx.wide('expected.flight_seconds')
            ) }}
            when expected.budget_source = 'daily' then expected.daily_budget_micros * expected.days_running
        end as expected_to_date_micros,
        spent_to_date.spend_micros,
        spent_to_date.spent_to_date_micros,
        expected.local_date
    from expected
    inner join spent_to_date
        on expected.campaign_id = spent_to_date.campaign_id
        and expected.advertiser_id = spent_to_date.advertiser_id
        and expected.local_date = spent_to_date.local_date

)

select
    paced.campaign_id,
    paced.advertiser_id,
    paced.time_zone,
    paced.currency,
    paced.day_seconds,
    paced.budget_source,
    paced.daily_budget_micros,
    paced.budget_micros,
    paced.spend_micros,
    paced.spent_to_date_micros,
    paced.expected_to_date_micros,
    {{ adx.ratio('paced.spent_to_date_micros', 'paced.expected_to_date_micros') }} as pacing_ratio,
    paced.budget_micros - paced.spent_to_date_micros as remaining_micros,
    paced.local_date
from paced
