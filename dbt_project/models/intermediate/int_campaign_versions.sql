{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    full_refresh=false,
) }}

-- What was seen once stays: the reference files show a campaign only as it is now, so a full refresh
-- could not bring its former versions back. (dbt's own snapshots would need Delta tables on Spark.)
select campaigns.*
from {{ ref('stg_campaigns') }} as campaigns
{%- if adx.builds_touched_days() %}
left join (
    select
        known.campaign_id,
        max(known.updated_at) as updated_at
    from {{ this }} as known
    group by known.campaign_id
) as newest
    on campaigns.campaign_id = newest.campaign_id
where newest.campaign_id is null
    or campaigns.updated_at > newest.updated_at
{%- endif %}
