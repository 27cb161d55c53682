{{ config(materialized='table') }}

{#- Advertisers' currencies, zones and windows and the exchange rates enter every figure, and a new
    version of them does not say which days it changes: it rebuilds all of them. -#}
with last_build as (

    select
        coalesce(max(builds.to_load_id), -1) as to_load_id,
        max(builds.completed_at) as completed_at
    from {{ ref('stg_builds') }} as builds

),

changed_reference as (

    select count(*) as changes
    from {{ ref('stg_reference_loads') }} as reference_loads
    cross join last_build
    where reference_loads.table_name in ('advertisers', 'fx_rates', 'time_zone_offsets')
        and reference_loads.loaded_at > last_build.completed_at

),

loaded as (

    select coalesce(max(loads.load_id), -1) as load_id
    from {{ ref('stg_loads') }} as loads

)

select
    {%- if flags.FULL_REFRESH %}
    cast(-1 as bigint) as from_load_id,
    {%- else %}
    cast(case
        when changed_reference.changes > 0 then -1
        else last_build.to_load_id
    end as bigint) as from_load_id,
    {%- endif %}
    cast(loaded.load_id as bigint) as to_load_id
from loaded
cross join last_build
cross join changed_reference
