{{ adx.touched_days_config('click', 'click_date') }}

with clicks as (

    select deduped.*
    from {{ ref('int_clicks_deduped') }} as deduped
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('click', 'deduped.event_date') }}
    {%- endif %}

),

candidates as (

    select
        clicks.event_id,
        impressions.impression_key,
        impressions.exchange_id,
        impressions.publisher_id,
        impressions.creative_id,
        impressions.rendered_at,
        impressions.load_id,
        -- An impression id should name one impression; where it names more, the nearest one before
        -- the click, or else the earliest.
        row_number() over (
            partition by clicks.event_id
            order by
                case when impressions.rendered_at <= clicks.event_time then 0 else 1 end,
                impressions.impression_date desc, impressions.rendered_at desc nulls last,
                impressions.impression_key
        ) as candidate_rank
    from clicks
    inner join {{ ref('fct_impressions') }} as impressions
        on clicks.impression_id = impressions.impression_id
        and impressions.impression_date
            between {{ adx.add_days('clicks.event_date', -var('adx_lookback_days')) }}
            and {{ adx.add_days('clicks.event_date', var('adx_lookback_days')) }}
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_near_touched('click', 'impressions.impression_date') }}
    {%- endif %}

)

select
    clicks.event_id,
    clicks.click_id,
    clicks.impression_id,
    impressions.impression_key,
    clicks.advertiser_id,
    clicks.campaign_id,
    impressions.creative_id,
    impressions.exchange_id,
    impressions.publisher_id,
    clicks.user_id,
    clicks.device_type,
    clicks.landing_page,
    coalesce(clicks.has_consent, false) as has_consent,
    coalesce(clicks.is_givt, false) as is_givt,
    clicks.givt_reason,
    clicks.event_time as clicked_at,
    impressions.rendered_at,
    coalesce(clicks.is_late, false) as is_late,
    greatest(clicks.load_id, coalesce(impressions.load_id, -1)) as load_id,
    clicks.event_date as click_date
from clicks
left join candidates as impressions
    on clicks.event_id = impressions.event_id
    and impressions.candidate_rank = 1
