{{ adx.touched_days_config('campaign', 'event_date') }}

with measures as (

    select
        measures.*,
        cast(measures.happened_at as date) as event_date
    from {{ ref('int_campaign_measures') }} as measures
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_near_touched('campaign', 'measures.source_date') }}
        and {{ adx.is_touched('campaign', 'cast(measures.happened_at as date)') }}
    {%- endif %}

)

select
    {{ adx.hour_of('measures.happened_at') }} as hour_start,
    measures.campaign_id,
    measures.advertiser_id,
    max(advertisers.currency) as currency,
    {{- adx.summed_campaign_measures('measures') }},
    max(measures.load_id) as load_id,
    measures.event_date
from measures
left join {{ ref('stg_advertisers') }} as advertisers
    on measures.advertiser_id = advertisers.advertiser_id
group by
    {{ adx.hour_of('measures.happened_at') }},
    measures.campaign_id,
    measures.advertiser_id,
    measures.event_date
