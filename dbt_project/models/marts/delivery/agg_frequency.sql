-- Small, and made anew by every build: a new cap then needs no day to be rebuilt.
select
    frequency.campaign_id,
    frequency.advertiser_id,
    frequency.impressions_per_user,
    frequency.users,
    frequency.users * frequency.impressions_per_user as impressions,
    campaigns.frequency_cap_per_day,
    coalesce(frequency.impressions_per_user > campaigns.frequency_cap_per_day, false) as is_over_cap,
    case
        when frequency.impressions_per_user > campaigns.frequency_cap_per_day
            then frequency.users * (frequency.impressions_per_user - campaigns.frequency_cap_per_day)
        else cast(0 as bigint)
    end as impressions_over_cap,
    frequency.load_id,
    frequency.local_date
from {{ ref('int_campaign_frequency') }} as frequency
-- The cap that was in force when the UTC day of this date ended.
left join {{ ref('dim_campaigns') }} as campaigns
    on frequency.campaign_id = campaigns.campaign_id
    and frequency.advertiser_id = campaigns.advertiser_id
    and campaigns.valid_from < cast({{ adx.add_days('frequency.local_date', 1) }} as timestamp)
    and (
        campaigns.valid_to is null
        or campaigns.valid_to >= cast({{ adx.add_days('frequency.local_date', 1) }} as timestamp)
    )
