{{ config(materialized='table') }}

{#- The figures of a day are made of rows of so many days before it: copies and what belongs together
    lie adx_lookback_days apart; an hour of arrival has events of adx_latest_arrival_days before it, and
    a conversion its touches of the widest window. Three days more: a local day and a judged day begin a
    day earlier, and rows may expire while a build runs. `adx maintain` reckons with the same figure. -#}
with horizon as (

    select {{ adx.days_covering_hours('coalesce(max(greatest(
        advertisers.click_lookback_hours, advertisers.view_lookback_hours
    )), 0)') }} as days
    from {{ ref('stg_advertisers') }} as advertisers

),

expired as (

    select max(retention.kept_from) as kept_from
    from {{ ref('stg_retention') }} as retention

)

select
    coalesce(
        {{ adx.add_days(
            'expired.kept_from',
            'greatest(horizon.days, ' ~ var('adx_latest_arrival_days') ~ ') + ' ~ (var('adx_lookback_days') + 3)
        ) }},
        cast('1000-01-01' as date)
    ) as first_date,
    -- Of an event only its copies are asked for, and later days are made of events from here on.
    coalesce(
        {{ adx.add_days('expired.kept_from', var('adx_lookback_days') + 1) }},
        cast('1000-01-01' as date)
    ) as first_event_date
from expired
cross join horizon
