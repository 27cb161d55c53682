{#- What one bid became, as one row: CTEs of which the last one is `folded_bids`, of three CTEs that hold the
    days built and those around them: win and billing notices, impression events, and responses with a bid,
    each with `bid_group` columns.

    Nearly every bid has each of its events at most once, on one day, and its rendered event says who and
    where: such a bid is a join of its events. Folding all bids by grouping them took three times as long
    (measured 2026-11 on DuckDB, over ten million). The others, of `int_bids_apart`, are folded event by
    event. -#}
{% macro fold_bids(entity, notices, events, responses) -%}
{%- set group = adx.bid_group() -%}
{%- set number = adx.bid_number() -%}
bids_apart as (

    select {{ adx.with_bid_group('apart') }}
    from {{ ref('int_bids_apart') }} as apart
    where {{ adx.all_of([adx.is_built(entity, 'apart.event_date')]) }}

),

other_keys as (

    select distinct {{ adx.bid_key_columns('apart') }}
    from bids_apart as apart

),
{%- for name, relation, alias, condition in [
    ('win', notices, 'notices', "notices.notice_type = 'win'"),
    ('billing', notices, 'notices', "notices.notice_type = 'billing'"),
    ('measurable', events, 'events', "events.event_type = 'measurable'"),
    ('viewable', events, 'events', "events.event_type = 'viewable'"),
    ('response', responses, 'responses', none),
] %}

plain_{{ name }} as (

    select {{ alias }}.*
    from {{ relation }} as {{ alias }}
    where {{ adx.all_of([condition, adx.is_built(entity, alias ~ '.event_date')]) }}

),
{%- endfor %}

plain_bids as (

    select
        {{ adx.bid_key_columns('events') }},
        events.impression_id,
        events.event_id as rendered_event_id,
        events.advertiser_id,
        events.campaign_id,
        events.creative_id,
        response.deal_id,
        events.publisher_id,
        events.site_domain,
        events.app_bundle,
        events.placement_id,
        events.geo_country,
        events.device_type,
        events.user_id,
        coalesce(events.has_consent, false) as has_consent,
        coalesce(events.is_givt, false)
            or coalesce(measurable.is_givt, false)
            or coalesce(viewable.is_givt, false) as is_givt,
        least(
            case when events.is_givt then events.givt_reason end,
            case when measurable.is_givt then measurable.givt_reason end,
            case when viewable.is_givt then viewable.givt_reason end
        ) as givt_reason,
        response.event_time as bid_at,
        win.event_time as won_at,
        billing.event_time as billed_at,
        events.event_time as rendered_at,
        measurable.event_time as measurable_at,
        viewable.event_time as viewable_at,
        response.price_cpm_micros as bid_price_cpm_micros,
        response.currency as bid_currency,
        win.price_cpm_micros as win_price_cpm_micros,
        win.currency as win_currency,
        billing.price_cpm_micros as billing_price_cpm_micros,
        billing.currency as billing_currency,
        response.event_id is not null as has_response,
        coalesce(events.is_late, false)
            or coalesce(win.is_late, false)
            or coalesce(billing.is_late, false)
            or coalesce(measurable.is_late, false)
            or coalesce(viewable.is_late, false) as is_late,
        nullif(greatest(coalesce(win.load_id, -1), coalesce(billing.load_id, -1)), -1) as notice_load_id,
        greatest(
            events.load_id,
            {%- for name in ['win', 'billing', 'measurable', 'viewable', 'response'] %}
            coalesce({{ name }}.load_id, -1){% if not loop.last %},{% endif %}
            {%- endfor %}
        ) as load_id
    from {{ events }} as events
    {%- for name in ['win', 'billing', 'measurable', 'viewable', 'response'] %}
    left join plain_{{ name }} as {{ name }}
        on {{ adx.same_columns('events', name, group) }}
    {%- endfor %}
    where {{ adx.all_of(["events.event_type = 'rendered'", adx.is_built(entity, 'events.event_date')]) }}
        and not exists (
            select 1
            from bids_apart as apart
            where {{ adx.same_columns('apart', 'events', number) }}
        )

),

-- An exchange may repeat a notice under a new event id: the first one counts, so that an
-- impression is never billed twice.
other_notices as (

    select
        notices.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('notices') }}, notices.notice_type
            order by notices.event_time, notices.kafka_timestamp, notices.event_id
        ) as notice_rank
    from {{ notices }} as notices
    inner join other_keys on {{ adx.same_bid('notices', 'other_keys') }}
    where notices.request_id in (select keys.request_id from other_keys as keys)

),

folded_notices as (

    select
        {{ adx.bid_key_columns('notices') }},
        {%- for kind, time in [('win', 'won_at'), ('billing', 'billed_at')] %}
        {%- set is_kind = "notices.notice_type = '" ~ kind ~ "'" %}
        {{ adx.value_where('notices.event_time', is_kind) }} as {{ time }},
        {{ adx.value_where('notices.price_cpm_micros', is_kind) }} as {{ kind }}_price_cpm_micros,
        {{ adx.value_where('notices.currency', is_kind) }} as {{ kind }}_currency,
        {%- endfor %}
        {%- for column in ['campaign_id', 'creative_id', 'advertiser_id'] %}
        coalesce(
            {{ adx.value_where('notices.' ~ column, "notices.notice_type = 'billing'") }},
            {{ adx.value_where('notices.' ~ column, "notices.notice_type = 'win'") }}
        ) as {{ column }},
        {%- endfor %}
        {{ adx.any_true('notices.is_late') }} as is_late,
        max(notices.load_id) as load_id
    from other_notices as notices
    where notices.notice_rank = 1
    group by {{ adx.bid_key_columns('notices') }}

),

-- The first rendered event says who was there; where none came, the first measurable one does, then
-- the first viewable one. Invalid once is invalid: one event that gives a bot away condemns the
-- impression.
other_events as (

    select
        events.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('events') }}
            order by
                case events.event_type when 'rendered' then 0 when 'measurable' then 1 else 2 end,
                events.event_time, events.kafka_timestamp, events.event_id
        ) as event_rank
    from {{ events }} as events
    inner join other_keys on {{ adx.same_bid('events', 'other_keys') }}
    where events.request_id in (select keys.request_id from other_keys as keys)

),

folded_events as (

    select
        {{ adx.bid_key_columns('events') }},
        {%- for kind in ['rendered', 'measurable', 'viewable'] %}
        min(case when events.event_type = '{{ kind }}' then events.event_time end) as {{ kind }}_at,
        {%- endfor %}
        {%- for column in [
            'impression_id', 'campaign_id', 'creative_id', 'advertiser_id', 'publisher_id',
            'site_domain', 'app_bundle', 'placement_id', 'geo_country', 'device_type', 'user_id',
        ] %}
        {{ adx.value_where('events.' ~ column, 'events.event_rank = 1') }} as {{ column }},
        {%- endfor %}
        {{ adx.value_where('events.event_id', "events.event_rank = 1 and events.event_type = 'rendered'") }} as rendered_event_id,
        {{ adx.any_true('events.event_rank = 1 and events.has_consent') }} as has_consent,
        {{ adx.any_true('events.is_givt') }} as is_givt,
        min(case when events.is_givt then events.givt_reason end) as givt_reason,
        {{ adx.any_true('events.is_late') }} as is_late,
        max(events.load_id) as load_id
    from other_events as events
    group by {{ adx.bid_key_columns('events') }}

),

other_responses as (

    select
        responses.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('responses') }}
            order by responses.event_time, responses.kafka_timestamp, responses.event_id
        ) as response_rank
    from {{ responses }} as responses
    inner join other_keys on {{ adx.same_bid('responses', 'other_keys') }}
    where responses.request_id in (select keys.request_id from other_keys as keys)

),

folded_others as (

    select
        {{ adx.bid_key_columns('bids') }},
        events.impression_id,
        events.rendered_event_id,
        coalesce(events.advertiser_id, notices.advertiser_id, responses.advertiser_id) as advertiser_id,
        coalesce(events.campaign_id, notices.campaign_id, responses.campaign_id) as campaign_id,
        coalesce(events.creative_id, notices.creative_id, responses.creative_id) as creative_id,
        responses.deal_id,
        events.publisher_id,
        events.site_domain,
        events.app_bundle,
        events.placement_id,
        events.geo_country,
        events.device_type,
        events.user_id,
        coalesce(events.has_consent, false) as has_consent,
        coalesce(events.is_givt, false) as is_givt,
        events.givt_reason,
        responses.event_time as bid_at,
        notices.won_at,
        notices.billed_at,
        events.rendered_at,
        events.measurable_at,
        events.viewable_at,
        responses.price_cpm_micros as bid_price_cpm_micros,
        responses.currency as bid_currency,
        notices.win_price_cpm_micros,
        notices.win_currency,
        notices.billing_price_cpm_micros,
        notices.billing_currency,
        responses.event_id is not null as has_response,
        coalesce(events.is_late, false) or coalesce(notices.is_late, false) as is_late,
        notices.load_id as notice_load_id,
        greatest(
            coalesce(events.load_id, -1), coalesce(notices.load_id, -1), coalesce(responses.load_id, -1)
        ) as load_id
    from other_keys as bids
    left join folded_events as events on {{ adx.same_bid('bids', 'events') }}
    left join folded_notices as notices on {{ adx.same_bid('bids', 'notices') }}
    left join other_responses as responses
        on {{ adx.same_bid('bids', 'responses') }}
        and responses.response_rank = 1
    where events.impression_id is not null
        or notices.load_id is not null

),

folded_bids as (

    select
        bids.*,
        cast(coalesce(
            bids.won_at, bids.billed_at, bids.rendered_at, bids.measurable_at, bids.viewable_at
        ) as date) as impression_date
    from (
        select plain_bids.* from plain_bids
        union all
        select folded_others.* from folded_others
    ) as bids

)
{%- endmacro %}
