with versions as (

    select
        campaigns.*,
        row_number() over (
            partition by campaigns.campaign_id
            order by campaigns.dbt_valid_from, campaigns.dbt_scd_id
        ) as version_number
    from {{ ref('campaigns_snapshot') }} as campaigns

)

-- What is known first about a campaign holds for all time before: events older than the first
-- snapshot still find their campaign.
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
        else cast(versions.dbt_valid_from as timestamp)
    end as valid_from,
    cast(versions.dbt_valid_to as timestamp) as valid_to,
    versions.dbt_valid_to is null as is_current
from versions
