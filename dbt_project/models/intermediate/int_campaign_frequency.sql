{{ adx.touched_days_config('campaign_local', 'local_date') }}

with shown as (

    select
        impressions.campaign_id,
        impressions.advertiser_id,
        impressions.user_id,
        impressions.load_id,
        cast({{ adx.add_time('impressions.rendered_at', 'coalesce(offsets.offset_minutes, 0)', 'minute') }} as date) as local_date
    from {{ ref('fct_impressions') }} as impressions
    left join {{ ref('stg_advertisers') }} as advertisers
        on impressions.advertiser_id = advertisers.advertiser_id
    left join {{ ref('stg_time_zone_offsets') }} as offsets
        on advertisers.time_zone = offsets.time_zone
        and impressions.rendered_at >= offsets.utc_from
        and impressions.rendered_at < offsets.utc_to
    -- Only who consents may be counted as a person.
    where impressions.rendered_at is not null
        and impressions.user_id is not null
        and impressions.has_consent
        and not impressions.is_givt
    {%- if adx.builds_touched_days() %}
        and {{ adx.is_near_touched(
            'campaign_local', 'impressions.impression_date',
            before=var('adx_lookback_days') + 1, after=var('adx_lookback_days') + 1
        ) }}
        and {{ adx.is_near_touched('campaign_local', 'cast(impressions.rendered_at as date)', before=1, after=1) }}
    {%- endif %}

),

per_user as (

    select
        shown.campaign_id,
        shown.advertiser_id,
        shown.user_id,
        {{ adx.count_bigint() }} as impressions_per_user,
        max(shown.load_id) as load_id,
        shown.local_date
    from shown
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('campaign_local', 'shown.local_date') }}
    {%- endif %}
    group by shown.campaign_id, shown.advertiser_id, shown.user_id, shown.local_date

)

select
    per_user.campaign_id,
    per_user.advertiser_id,
    per_user.impressions_per_user,
    {{ adx.count_bigint() }} as users,
    max(per_user.load_id) as load_id,
    per_user.local_date
from per_user
group by per_user.campaign_id, per_user.advertiser_id, per_user.impressions_per_user, per_user.local_date
