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

notices as {{ adx.read_twice() }}(

    select notices.*
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
-- impression is never billed twice. Folding all notices at once is right where none is repeated;
-- only the others are put in order.
all_notices_folded as (
    {{- adx.fold_notices('notices') }}

),

ordered_notices as (

    select
        notices.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('notices') }}, notices.notice_type
            order by notices.event_time, notices.kafka_timestamp, notices.event_id
        ) as notice_rank
    from notices
    inner join all_notices_folded as folded on {{ adx.same_bid('notices', 'folded') }}
    where folded.wins > 1 or folded.billings > 1

),

first_notices as (

    select ordered_notices.*
    from ordered_notices
    where ordered_notices.notice_rank = 1

),

folded_notices as (

    select folded.*
    from all_notices_folded as folded
    where folded.wins <= 1 and folded.billings <= 1
    union all
    {{- adx.fold_notices('first_notices') }}

),

impression_events as {{ adx.read_twice() }}(

    select events.*
    from {{ ref('int_ad_impressions_deduped') }} as events
    {%- if incremental %}
    inner join touched_bids on {{ adx.same_bid('events', 'touched_bids') }}
    where {{ adx.is_near_touched('impression', 'events.event_date') }}
    {%- endif %}

),

-- The first rendered event says who was there; where none came, the first measurable one does, then
-- the first viewable one. Invalid once is invalid: one event that gives a bot away condemns the
-- impression. Nearly all impressions render once, and need no order.
all_events_folded as (
    {{- adx.fold_impression_events('impression_events', "events.event_type = 'rendered'") }}

),

ordered_events as (

    select
        events.*,
        row_number() over (
            partition by {{ adx.bid_key_columns('events') }}
            order by
                case events.event_type when 'rendered' then 0 when 'measurable' then 1 else 2 end,
                events.event_time, events.kafka_timestamp, events.event_id
        ) as event_rank
    from impression_events as events
    inner join all_events_folded as folded on {{ adx.same_bid('events', 'folded') }}
    where folded.rendered_events <> 1

),

folded_events as (

    select folded.*
    from all_events_folded as folded
    where folded.rendered_events = 1
    union all
    {{- adx.fold_impression_events('ordered_events', 'events.event_rank = 1') }}

),

responses as {{ adx.read_twice() }}(

    select responses.*
    from {{ ref('int_bid_responses_deduped') }} as responses
    {%- if incremental %}
    inner join touched_bids on {{ adx.same_bid('responses', 'touched_bids') }}
    where {{ adx.is_near_touched('impression', 'responses.event_date') }}
        and responses.bid_id is not null
    {%- else %}
    where responses.bid_id is not null
    {%- endif %}

),

{{ adx.first_rows(
    'responses', adx.bid_key(), 'responses.event_time, responses.kafka_timestamp, responses.event_id'
) }},

correlated as (

    select
        {%- for column in adx.bid_key() %}
        coalesce(events.{{ column }}, notices.{{ column }}) as {{ column }},
        {%- endfor %}
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
    from folded_events as events
    full outer join folded_notices as notices on {{ adx.same_bid('events', 'notices') }}
    left join responses_first as responses
        on {% for column in adx.bid_key() %}coalesce(events.{{ column }}, notices.{{ column }}) = responses.{{ column }}{% if not loop.last %} and {% endif %}{% endfor %}

)

select correlated.*
from correlated
{%- if incremental %}
where {{ adx.is_touched('impression', 'correlated.impression_date') }}
{%- endif %}
