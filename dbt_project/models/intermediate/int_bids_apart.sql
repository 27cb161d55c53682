{{ adx.touched_days_config('impression', 'event_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set group = adx.bid_group() %}
{%- set number = adx.bid_number() %}
{%- set tables = {
    'bid_notices': "moments.notice_type in ('win', 'billing')",
    'ad_impressions': none,
    'bid_responses': 'moments.bid_id is not null',
} %}
{#- Named here for dbt's graph: only an incremental build reads them. -#}
{%- if not execute %}
    {%- do ref('int_changed_loads') -%}
    {%- for table in tables %}{% do ref('stg_' ~ table) %}{% do ref('int_' ~ table ~ '_copies') %}{% endfor -%}
{%- endif %}
{#- Powers of two: a bid has as many events as kinds of them as long as none comes twice. A rendered event
    that does not name what was shown is a kind of its own. -#}
{%- set named_event = 32 %}
{%- set response = 64 %}
{%- set kinds = {
    'bid_notices': "case moments.notice_type when 'win' then 1 else 2 end",
    'ad_impressions': "case
            when moments.event_type = 'measurable' then 4
            when moments.event_type = 'viewable' then 8
            when moments.advertiser_id is null or moments.campaign_id is null or moments.creative_id is null then 16
            else " ~ named_event ~ "
        end",
    'bid_responses': response,
} %}

with bid_moments as (

    {%- for table, condition in tables.items() %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        {{ adx.bid_group_columns('moments') }},
        {{ kinds[table] }} as kind,
        moments.event_date
    from {{ ref('int_' ~ table ~ '_deduped') }} as moments
    where {{ adx.all_of([condition, adx.is_touched_if_incremental('impression', 'moments.event_date')]) }}
    {%- endfor %}

),

counted_bids as (

    select
        {{ adx.columns_of('moments', group) }},
        count(*) as events,
        bit_or(moments.kind) as kinds,
        min(moments.event_date) as first_date,
        max(moments.event_date) as last_date
    from bid_moments as moments
    group by {{ adx.columns_of('moments', group) }}

),

{%- if incremental %}

-- By one column, as of all texts of the days around only that one is then read.
touched_requests as (

    {%- for table, condition in tables.items() %}
    {%- if not loop.first %}
    union
    {%- endif %}
    select moments.request_id
    from {{ ref('int_' ~ table ~ '_deduped') }} as moments
    where {{ adx.all_of([condition, adx.is_touched('impression', 'moments.event_date')]) }}
    {%- endfor %}

),
{%- endif %}

-- Not those of which there is a response and nothing else: nothing came of them.
bids_apart as (

    select {{ adx.columns_of('bids', number) }}
    from counted_bids as bids
    where bids.kinds <> {{ response }}
        and (
            bids.events <> {{ adx.count_of_bits('bids.kinds', 7) }}
            or (bids.kinds & {{ named_event }}) = 0
            or bids.first_date <> bids.last_date
        )
    {%- if incremental %}
    {%- for table, condition in tables.items() %}
    union
    select {{ adx.columns_of('moments', number) }}
    from (
        select {{ adx.bid_number_columns('moments') }}
        from {{ ref('stg_' ~ table) }} as moments
        inner join touched_requests
            on moments.request_id = touched_requests.request_id
        cross join {{ ref('int_changed_loads') }} as loads
        where {{ adx.all_of([
            condition,
            adx.is_near_touched('impression', 'moments.event_date'),
            'not (' ~ adx.is_touched('impression', 'moments.event_date') ~ ')',
        ]) }}
            and moments.load_id <= loads.to_load_id
            -- As int_{{ table }}_deduped would have it, which joins the copies to every row of those days.
            and not exists (
                select 1
                from {{ ref('int_' ~ table ~ '_copies') }} as copies
                where copies.event_id = moments.event_id
                    and copies.event_date = moments.event_date
                    and copies.topic_id = moments.topic_id
                    and copies.partition_id = moments.partition_id
                    and copies.kafka_offset = moments.kafka_offset
            )
    ) as moments
    inner join counted_bids as bids
        on {{ adx.same_columns('moments', 'bids', number) }}
    {%- endfor %}
    {%- endif %}

)

-- An impression has the date of a notice or an event, never that of a response alone.
{%- for table, condition in tables.items() if table != 'bid_responses' %}
{%- if not loop.first %}
union
{%- endif %}
select
    {{ adx.bid_key_columns('moments') }},
    moments.event_date
from (
    select
        {{ adx.with_bid_number('moments') }},
        moments.event_date
    from {{ ref('int_' ~ table ~ '_deduped') }} as moments
    where {{ adx.all_of([condition, adx.is_touched_if_incremental('impression', 'moments.event_date')]) }}
) as moments
inner join bids_apart
    on {{ adx.same_columns('moments', 'bids_apart', number) }}
{%- endfor %}
