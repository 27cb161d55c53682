with versions as (

    select
        campaigns.*,
        row_number() over (
            partition by campaigns.campaign_id
            order by campaigns.updated_at
        ) as version_number,
        lead(campaigns.updated_at) over (
            partition by campaigns.campaign_id
            order by campaigns.updated_at
        ) as replaced_at
    from {{ ref('int_campaign_versions') }} as campaigns

)

-- What is known first about a campaign holds for all time before: events older than the first
-- version still find their campaign.
select
    versions.campaign_id,
    versions.advertiser_id,
    versions.name as campaign_name,
    versions.objective,
    versions.status,
    versions.daily_budget_micros,
    versions.total_budget_micros,
    versions.frequency_cap_per_day,
    cast(versions.version_number as integer) as version_number,
    case
        when versions.version_number = 1 then cast('1900-01-01 00:00:00' as timestamp)
        else versions.updated_at
    end as valid_from,
    versions.replaced_at as valid_to,
    versions.replaced_at is null as is_current
from versions
