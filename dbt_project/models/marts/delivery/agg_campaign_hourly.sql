{{ adx.touched_days_config('campaign', 'event_date') }}

-- The hours of agg_delivery_hourly, which look up where each click and conversion happened, summed: reading
-- the facts once more was a twentieth of building an hour (measured 2026-11).
select
    hours.hour_start,
    hours.campaign_id,
    hours.advertiser_id,
    max(advertisers.currency) as currency,
    {{- adx.summed_campaign_measures('hours') }},
    max(hours.load_id) as load_id,
    hours.event_date
from {{ ref('agg_delivery_hourly') }} as hours
left join {{ ref('stg_advertisers') }} as advertisers
    on hours.advertiser_id = advertisers.advertiser_id
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('campaign', 'hours.event_date') }}
{%- endif %}
group by hours.hour_start, hours.campaign_id, hours.advertiser_id, hours.event_date
