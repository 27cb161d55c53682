-- Cutting time in local days moves figures between days and changes no campaign's total. Reads the
-- two aggregates only, which stay small. Where rows have expired, the first days are not made anew, and
-- a local day is not made of whole UTC days: the hours from a day on then lie between the local days
-- that are certainly among them and those that may be.
{%- set measures = ['spend_micros', 'net_impressions', 'net_clicks', 'conversions'] %}
with daily as (

    select
        daily.campaign_id,
        daily.advertiser_id
        {%- for measure in measures %},
        sum(daily.{{ measure }}) as most_{{ measure }},
        sum(case
            when daily.local_date >= {{ adx.add_days('rebuild_limit.first_date', 2) }} then daily.{{ measure }}
            else 0
        end) as least_{{ measure }}
        {%- endfor %}
    from {{ ref('agg_campaign_daily') }} as daily
    cross join {{ ref('int_rebuild_limit') }} as rebuild_limit
    where daily.local_date >= rebuild_limit.first_date
    group by daily.campaign_id, daily.advertiser_id

),

hourly as (

    select
        hourly.campaign_id,
        hourly.advertiser_id
        {%- for measure in measures %},
        sum(hourly.{{ measure }}) as {{ measure }}
        {%- endfor %}
    from {{ ref('agg_campaign_hourly') }} as hourly
    cross join {{ ref('int_rebuild_limit') }} as rebuild_limit
    where hourly.event_date >= {{ adx.add_days('rebuild_limit.first_date', 1) }}
    group by hourly.campaign_id, hourly.advertiser_id

)

select
    coalesce(daily.campaign_id, hourly.campaign_id) as campaign_id,
    coalesce(daily.advertiser_id, hourly.advertiser_id) as advertiser_id
from daily
full outer join hourly
    on daily.campaign_id = hourly.campaign_id
    and daily.advertiser_id = hourly.advertiser_id
where {% for measure in measures -%}
    {%- if not loop.first %}
    or {% endif -%}
    coalesce(hourly.{{ measure }}, 0) < coalesce(daily.least_{{ measure }}, 0)
    or coalesce(hourly.{{ measure }}, 0) > coalesce(daily.most_{{ measure }}, 0)
    {%- endfor %}
