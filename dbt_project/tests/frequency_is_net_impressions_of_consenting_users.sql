-- The impressions that users saw are the net impressions of those who may be counted. Looks at rebuilt
-- days.
with shown as (

    select
        cast({{ adx.add_time('facts.rendered_at', 'coalesce(offsets.offset_minutes, 0)', 'minute') }} as date) as local_date
    from {{ ref('fct_impressions') }} as facts
    left join {{ ref('stg_advertisers') }} as advertisers
        on facts.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_time_zone_offsets') }} as offsets
        on advertisers.time_zone = offsets.time_zone
        and facts.rendered_at >= offsets.utc_from
        and facts.rendered_at < offsets.utc_to
    where facts.rendered_at is not null
        and facts.user_id is not null
        and facts.has_consent
        and not facts.is_givt
        and {{ adx.is_near_touched(
            'campaign_local', 'facts.impression_date',
            before=var('adx_lookback_days') + 1, after=var('adx_lookback_days') + 1
        ) }}

),

figures as (

    select
        shown.local_date,
        1 as impressions
    from shown
    where {{ adx.is_touched('campaign_local', 'shown.local_date') }}
    union all
    select
        frequency.local_date,
        -1 * frequency.impressions as impressions
    from {{ ref('agg_frequency') }} as frequency
    where {{ adx.is_touched('campaign_local', 'frequency.local_date') }}

)

select figures.local_date
from figures
group by figures.local_date
having sum(figures.impressions) <> 0
