{#- What one bid became, as one row: CTEs of which the last one is `folded_bids`, of three relations:
    win and billing notices, impression events, and responses with a bid.

    Nearly every bid has each of its events once, and its rendered event says who and where. Of such a
    bid only numbers and times are folded, in one narrow pass over everything, and joined to the rendered
    event; folding a dozen texts took half of a full build's time (measured 2026-11 on DuckDB). The other
    bids are folded event by event. -#}
{% macro fold_bids(notices, events, responses) -%}
moments as (

    select
        {{ adx.bid_key_columns('notices') }},
        notices.notice_type as kind,
        notices.event_time,
        notices.price_cpm_micros,
        notices.currency,
        {{ adx.as_text('null') }} as deal_id,
        0 as is_named,
        cast(null as boolean) as is_givt,
        {{ adx.as_text('null') }} as givt_reason,
        notices.is_late,
        notices.load_id
    from {{ notices }} as notices
    union all
    select
        {{ adx.bid_key_columns('events') }},
        events.event_type as kind,
        events.event_time,
        cast(null as bigint) as price_cpm_micros,
        {{ adx.as_text('null') }} as currency,
        {{ adx.as_text('null') }} as deal_id,
        case
            when events.advertiser_id is not null
                and events.campaign_id is not null
                and events.creative_id is not null
                then 1
            else 0
        end as is_named,
        events.is_givt,
        events.givt_reason,
        events.is_late,
        events.load_id
    from {{ events }} as events
    union all
    select
        {{ adx.bid_key_columns('responses') }},
        {{ adx.as_text("'response'") }} as kind,
        responses.event_time,
        responses.price_cpm_micros,
        responses.currency,
        responses.deal_id,
        0 as is_named,
        cast(null as boolean) as is_givt,
        {{ adx.as_text('null') }} as givt_reason,
        cast(null as boolean) as is_late,
        responses.load_id
    from {{ responses }} as responses

),

counted_bids as (

    select
        {{ adx.bid_key_columns('moments') }},
        {%- for kind, time in [('response', 'bid_at'), ('win', 'won_at'), ('billing', 'billed_at')] %}
        {%- set is_kind = "moments.kind = '" ~ kind ~ "'" %}
        {%- set prefix = 'bid' if kind == 'response' else kind %}
        {{ adx.value_where('moments.event_time', is_kind) }} as {{ time }},
        {{ adx.value_where('moments.price_cpm_micros', is_kind) }} as {{ prefix }}_price_cpm_micros,
        {{ adx.value_where('moments.currency', is_kind) }} as {{ prefix }}_currency,
        count(case when {{ is_kind }} then 1 end) as {{ kind }}s,
        {%- endfor %}
        {%- for kind in ['rendered', 'measurable', 'viewable'] %}
        min(case when moments.kind = '{{ kind }}' then moments.event_time end) as {{ kind }}_at,
        {%- endfor %}
        count(case when moments.kind = 'rendered' then 1 end) as rendered_events,
        count(case when moments.kind = 'rendered' and moments.is_named = 1 then 1 end) as named_events,
        max(moments.deal_id) as deal_id,
        {{ adx.any_true('moments.is_givt') }} as is_givt,
        min(case when moments.is_givt then moments.givt_reason end) as givt_reason,
        {{ adx.any_true('moments.is_late') }} as is_late,
        {{ adx.value_where('moments.load_id', "moments.kind in ('win', 'billing')") }} as notice_load_id,
        max(moments.load_id) as load_id
    from moments
    group by {{ adx.bid_key_columns('moments') }}

),

judged_bids as (

    select
        counted.*,
        case
            when counted.rendered_events = 1 and counted.named_events = 1
                and counted.wins <= 1 and counted.billings <= 1 and counted.responses <= 1
                then 1
            else 0
        end as is_plain
    from counted_bids as counted

),

plain_bids as (

    select
        {{ adx.bid_key_columns('events') }},
        events.impression_id,
        events.event_id as rendered_event_id,
        events.advertiser_id,
        events.campaign_id,
        events.creative_id,
        bids.deal_id,
        events.publisher_id,
        events.site_domain,
        events.app_bundle,
        events.placement_id,
        events.geo_country,
        events.device_type,
        events.user_id,
        coalesce(events.has_consent, false) as has_consent,
        bids.is_givt,
        bids.givt_reason,
        bids.bid_at,
        bids.won_at,
        bids.billed_at,
        bids.rendered_at,
        bids.measurable_at,
        bids.viewable_at,
        bids.bid_price_cpm_micros,
        bids.bid_currency,
        bids.win_price_cpm_micros,
        bids.win_currency,
        bids.billing_price_cpm_micros,
        bids.billing_currency,
        bids.responses = 1 as has_response,
        bids.is_late,
        bids.notice_load_id,
        bids.load_id
    from {{ events }} as events
    inner join judged_bids as bids on {{ adx.same_bid('events', 'bids') }}
    where events.event_type = 'rendered'
        and bids.is_plain = 1

),

other_bids as (

    select {{ adx.bid_key_columns('bids') }}
    from judged_bids as bids
    where bids.is_plain = 0
        and coalesce(
            bids.won_at, bids.billed_at, bids.rendered_at, bids.measurable_at, bids.viewable_at
        ) is not null

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
    inner join other_bids on {{ adx.same_bid('notices', 'other_bids') }}

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
    inner join other_bids on {{ adx.same_bid('events', 'other_bids') }}

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
    inner join other_bids on {{ adx.same_bid('responses', 'other_bids') }}

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
    from other_bids as bids
    left join folded_events as events on {{ adx.same_bid('bids', 'events') }}
    left join folded_notices as notices on {{ adx.same_bid('bids', 'notices') }}
    left join other_responses as responses
        on {{ adx.same_bid('bids', 'responses') }}
        and responses.response_rank = 1

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
