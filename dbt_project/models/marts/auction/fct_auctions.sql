{{ adx.touched_days_config('auction', 'auction_date') }}

{%- set incremental = adx.builds_touched_days() %}

with

{%- if incremental %}

-- Requests of one exchange that share an id compete for the same responses, so all of them are
-- read, and those of a touched day are kept at the end.
touched_requests as (

    select distinct
        same_day.exchange_id,
        same_day.request_id
    from {{ ref('int_bid_requests_deduped') }} as same_day
    where {{ adx.is_touched('auction', 'same_day.event_date') }}

),
{%- endif %}

offered as (

    select
        requests.event_id as request_event_id,
        imps.imp_index,
        requests.exchange_id,
        requests.request_id,
        imps.imp_id,
        imps.media_type,
        imps.width,
        imps.height,
        imps.floor_cpm_micros,
        imps.floor_currency,
        imps.placement_id,
        requests.auction_type,
        requests.is_test,
        requests.channel,
        requests.publisher_id,
        requests.site_domain,
        requests.app_bundle,
        requests.geo_country,
        requests.device_type,
        requests.is_givt,
        requests.event_time as requested_at,
        requests.is_late,
        requests.load_id,
        requests.event_date as auction_date
    from {{ ref('int_bid_requests_deduped') }} as requests
    inner join {{ ref('stg_bid_request_imps') }} as imps
        on requests.topic_id = imps.topic_id
        and requests.partition_id = imps.partition_id
        and requests.kafka_offset = imps.kafka_offset
        and requests.event_date = imps.event_date
    {%- if incremental %}
    inner join touched_requests
        on requests.exchange_id = touched_requests.exchange_id
        and requests.request_id = touched_requests.request_id
    where {{ adx.is_near_touched('auction', 'requests.event_date', before=1, after=1) }}
        and {{ adx.is_near_touched('auction', 'imps.event_date', before=1, after=1) }}
    {%- endif %}

),

-- Offers that a response names, in the few columns that decide: where there are a hundred requests for
-- each response, the wide rows of `offered` are then read once, and not kept for a second reading.
named_requests as (

    select distinct
        responses.exchange_id,
        responses.request_id
    from {{ ref('int_bid_responses_deduped') }} as responses
    {%- if incremental %}
    inner join touched_requests
        on responses.exchange_id = touched_requests.exchange_id
        and responses.request_id = touched_requests.request_id
    where {{ adx.is_near_touched('auction', 'responses.event_date', before=1, after=1) }}
    {%- endif %}

),

named_offers as (

    select
        requests.event_id as request_event_id,
        imps.imp_index,
        requests.exchange_id,
        requests.request_id,
        imps.imp_id,
        requests.event_time as requested_at
    from {{ ref('int_bid_requests_deduped') }} as requests
    inner join named_requests
        on requests.exchange_id = named_requests.exchange_id
        and requests.request_id = named_requests.request_id
    inner join {{ ref('stg_bid_request_imps') }} as imps
        on requests.topic_id = imps.topic_id
        and requests.partition_id = imps.partition_id
        and requests.kafka_offset = imps.kafka_offset
        and requests.event_date = imps.event_date
    {%- if incremental %}
    where {{ adx.is_near_touched('auction', 'requests.event_date', before=1, after=1) }}
        and {{ adx.is_near_touched('auction', 'imps.event_date', before=1, after=1) }}
    {%- endif %}

),

-- Step 1: each response belongs to the request nearest in time, within an hour.
candidates as (

    select
        named_offers.request_event_id,
        named_offers.imp_index,
        responses.event_id as response_event_id,
        responses.event_time as responded_at,
        responses.bid_id,
        responses.campaign_id,
        responses.creative_id,
        responses.advertiser_id,
        responses.deal_id,
        responses.price_cpm_micros,
        responses.currency,
        responses.no_bid_reason,
        responses.latency_ms,
        responses.is_late,
        responses.load_id,
        abs({{ adx.micros_between('named_offers.requested_at', 'responses.event_time') }}) as distance_micros,
        row_number() over (
            partition by responses.event_id
            order by
                abs({{ adx.micros_between('named_offers.requested_at', 'responses.event_time') }}),
                named_offers.requested_at, named_offers.request_event_id, named_offers.imp_index
        ) as request_rank
    from {{ ref('int_bid_responses_deduped') }} as responses
    inner join named_offers
        on responses.exchange_id = named_offers.exchange_id
        and responses.request_id = named_offers.request_id
        and responses.imp_id = named_offers.imp_id
    where abs({{ adx.micros_between('named_offers.requested_at', 'responses.event_time') }}) <= 3600000000
    {%- if incremental %}
        and {{ adx.is_near_touched('auction', 'responses.event_date', before=1, after=1) }}
    {%- endif %}

),

-- Step 2: each offered impression takes the nearest of its responses.
decisions as (

    select
        candidates.*,
        row_number() over (
            partition by candidates.request_event_id, candidates.imp_index
            order by candidates.distance_micros, candidates.responded_at, candidates.response_event_id
        ) as response_rank
    from candidates
    where candidates.request_rank = 1

),

notices as {{ adx.read_twice() }}(

    select notices.*
    from {{ ref('int_bid_notices_deduped') }} as notices
    {%- if incremental %}
    inner join touched_requests
        on notices.exchange_id = touched_requests.exchange_id
        and notices.request_id = touched_requests.request_id
    where {{ adx.is_near_touched('auction', 'notices.event_date') }}
    {%- endif %}

),

{{ adx.first_rows(
    'notices', adx.bid_key() + ['notice_type'],
    'notices.event_time, notices.kafka_timestamp, notices.event_id'
) }},

outcomes as (

    select
        {{ adx.bid_key_columns('notices') }},
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'win'") }} as won_at,
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'billing'") }} as billed_at,
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'loss'") }} as lost_at,
        {{ adx.value_where('notices.price_cpm_micros', "notices.notice_type = 'win'") }} as win_price_cpm_micros,
        {{ adx.value_where('notices.currency', "notices.notice_type = 'win'") }} as win_currency,
        {{ adx.value_where('notices.price_cpm_micros', "notices.notice_type = 'billing'") }} as billing_price_cpm_micros,
        {{ adx.value_where('notices.currency', "notices.notice_type = 'billing'") }} as billing_currency,
        {{ adx.value_where('notices.loss_reason', "notices.notice_type = 'loss'") }} as loss_reason,
        max(notices.min_to_win_cpm_micros) as min_to_win_cpm_micros,
        max(notices.load_id) as load_id
    from notices_first as notices
    group by {{ adx.bid_key_columns('notices') }}

)

select
    offered.request_event_id,
    offered.imp_index,
    offered.exchange_id,
    offered.request_id,
    offered.imp_id,
    offered.requested_at,
    offered.media_type,
    offered.width,
    offered.height,
    offered.floor_cpm_micros,
    offered.floor_currency,
    offered.placement_id,
    offered.auction_type,
    offered.is_test,
    offered.channel,
    offered.publisher_id,
    offered.site_domain,
    offered.app_bundle,
    offered.geo_country,
    offered.device_type,
    coalesce(offered.is_givt, false) as is_givt,
    {{ adx.as_text("case
        when decisions.response_event_id is null then 'no_response'
        when decisions.bid_id is not null then 'bid'
        else 'no_bid'
    end") }} as decision,
    decisions.response_event_id,
    decisions.responded_at,
    decisions.latency_ms,
    decisions.no_bid_reason,
    decisions.bid_id,
    decisions.advertiser_id,
    decisions.campaign_id,
    decisions.creative_id,
    decisions.deal_id,
    case when decisions.bid_id is not null then decisions.price_cpm_micros end as bid_price_cpm_micros,
    case when decisions.bid_id is not null then decisions.currency end as bid_currency,
    {{ adx.as_text("case
        when decisions.bid_id is null then null
        when outcomes.won_at is not null or outcomes.billed_at is not null then 'won'
        when outcomes.lost_at is not null then 'lost'
        else 'unknown'
    end") }} as outcome,
    outcomes.won_at,
    outcomes.lost_at,
    coalesce(outcomes.win_price_cpm_micros, outcomes.billing_price_cpm_micros) as clearing_price_cpm_micros,
    case
        when outcomes.win_price_cpm_micros is not null then outcomes.win_currency
        else outcomes.billing_currency
    end as clearing_currency,
    outcomes.loss_reason,
    outcomes.min_to_win_cpm_micros,
    coalesce(offered.is_late, false) or coalesce(decisions.is_late, false) as is_late,
    greatest(
        offered.load_id, coalesce(decisions.load_id, -1), coalesce(outcomes.load_id, -1)
    ) as load_id,
    offered.auction_date
from offered
left join decisions
    on offered.request_event_id = decisions.request_event_id
    and offered.imp_index = decisions.imp_index
    and decisions.response_rank = 1
left join outcomes
    on offered.exchange_id = outcomes.exchange_id
    and offered.request_id = outcomes.request_id
    and offered.imp_id = outcomes.imp_id
    and decisions.bid_id = outcomes.bid_id
{%- if incremental %}
where {{ adx.is_touched('auction', 'offered.auction_date') }}
{%- endif %}
