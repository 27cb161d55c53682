{{ adx.touched_days_config('impression', 'impression_date') }}

{%- set incremental = adx.builds_touched_days() %}

with

{%- if incremental %}

-- Bids with an event on a touched day; the rest of their events may lie days away.
touched_bids as (

    select {{ adx.bid_key_columns('notices') }}
    from {{ ref('int_bid_notices_deduped') }} as notices
    where {{ adx.is_touched('impression', 'notices.event_date') }}
    union
    select {{ adx.bid_key_columns('events') }}
    from {{ ref('int_ad_impressions_deduped') }} as events
    where {{ adx.is_touched('impression', 'events.event_date') }}

),
{%- endif %}

notices as (

    select
        notices.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('notices') }}, notices.notice_type
            order by notices.event_time, notices.kafka_timestamp, notices.event_id
        ) as notice_rank
    from {{ ref('int_bid_notices_deduped') }} as notices
    {%- if incremental %}
    inner join touched_bids on {{ adx.same_bid('notices', 'touched_bids') }}
    where {{ adx.is_near_touched('impression', 'notices.event_date') }}
        and notices.notice_type in ('win', 'billing')
    {%- else %}
    where notices.notice_type in ('win', 'billing')
    {%- endif %}

),

-- An exchange may repeat a notice under a new event id: the first one counts, so that an
-- impression is never billed twice.
folded_notices as (

    select
        {{ adx.bid_key_columns('notices') }},
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'win'") }} as won_at,
        {{ adx.value_where('notices.price_cpm_micros', "notices.notice_type = 'win'") }} as win_price_cpm_micros,
        {{ adx.value_where('notices.currency', "notices.notice_type = 'win'") }} as win_currency,
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'billing'") }} as billed_at,
        {{ adx.value_where('notices.price_cpm_micros', "notices.notice_type = 'billing'") }} as billing_price_cpm_micros,
        {{ adx.value_where('notices.currency', "notices.notice_type = 'billing'") }} as billing_currency,
        coalesce(
            {{ adx.value_where('notices.campaign_id', "notices.notice_type = 'billing'") }},
            {{ adx.value_where('notices.campaign_id', "notices.notice_type = 'win'") }}
        ) as campaign_id,
        coalesce(
            {{ adx.value_where('notices.creative_id', "notices.notice_type = 'billing'") }},
            {{ adx.value_where('notices.creative_id', "notices.notice_type = 'win'") }}
        ) as creative_id,
        coalesce(
            {{ adx.value_where('notices.advertiser_id', "notices.notice_type = 'billing'") }},
            {{ adx.value_where('notices.advertiser_id', "notices.notice_type = 'win'") }}
        ) as advertiser_id,
        {{ adx.any_true('notices.is_late') }} as is_late,
        max(notices.load_id) as load_id
    from notices
    where notices.notice_rank = 1
    group by {{ adx.bid_key_columns('notices') }}

),

impression_events as (

    select
        events.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('events') }}
            order by
                case events.event_type when 'rendered' then 0 when 'measurable' then 1 else 2 end,
                events.event_time, events.kafka_timestamp, events.event_id
        ) as event_rank
    from {{ ref('int_ad_impressions_deduped') }} as events
    {%- if incremental %}
    inner join touched_bids on {{ adx.same_bid('events', 'touched_bids') }}
    where {{ adx.is_near_touched('impression', 'events.event_date') }}
    {%- endif %}

),

-- The first rendered event says who was there. Invalid once is invalid: one event that gives a bot
-- away condemns the impression.
folded_events as (

    select
        {{ adx.bid_key_columns('events') }},
        min(case when events.event_type = 'rendered' then events.event_time end) as rendered_at,
        min(case when events.event_type = 'measurable' then events.event_time end) as measurable_at,
        min(case when events.event_type = 'viewable' then events.event_time end) as viewable_at,
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
    from impression_events as events
    group by {{ adx.bid_key_columns('events') }}

),

responses as (

    select
        responses.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('responses') }}
            order by responses.event_time, responses.kafka_timestamp, responses.event_id
        ) as response_rank
    from {{ ref('int_bid_responses_deduped') }} as responses
    {%- if incremental %}
    inner join touched_bids on {{ adx.same_bid('responses', 'touched_bids') }}
    where {{ adx.is_near_touched('impression', 'responses.event_date') }}
        and responses.bid_id is not null
    {%- else %}
    where responses.bid_id is not null
    {%- endif %}

),

impression_keys as (

    select {{ adx.bid_key_columns('folded_notices') }}
    from folded_notices
    union
    select {{ adx.bid_key_columns('folded_events') }}
    from folded_events

),

correlated as (

    select
        {{ adx.bid_key_columns('impression_keys') }},
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
        greatest(
            coalesce(events.load_id, -1), coalesce(notices.load_id, -1), coalesce(responses.load_id, -1)
        ) as load_id,
        cast(coalesce(
            notices.won_at, notices.billed_at, events.rendered_at, events.measurable_at, events.viewable_at
        ) as date) as impression_date
    from impression_keys
    left join folded_notices as notices on {{ adx.same_bid('impression_keys', 'notices') }}
    left join folded_events as events on {{ adx.same_bid('impression_keys', 'events') }}
    left join responses
        on {{ adx.same_bid('impression_keys', 'responses') }}
        and responses.response_rank = 1

)

select correlated.*
from correlated
{%- if incremental %}
where {{ adx.is_touched('impression', 'correlated.impression_date') }}
{%- endif %}
