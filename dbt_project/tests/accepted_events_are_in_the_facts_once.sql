-- Conservation goes on into the marts: every winner among the clicks, conversions and offered
-- impressions is one row of its fact, no more and no less. Looks at rebuilt days, and where rows have
-- expired at those of which facts are made anew.
{%- set limit = '(select rebuild_limit.first_date from ' ~ ref('int_rebuild_limit') ~ ' as rebuild_limit)' %}
{%- set facts = [
    ('int_clicks_deduped', 'clicks', 'event_date', 'fct_clicks', 'click_date'),
    ('int_conversions_deduped', 'conversions', 'event_date', 'fct_conversions', 'conversion_date'),
] %}
{%- for events, entity, event_date, fact, fact_date in facts %}
select
    {{ adx.as_text("'" ~ fact ~ "'") }} as fact,
    sum(counted.events) as events,
    sum(counted.fact_rows) as fact_rows
from (
    select 1 as events, 0 as fact_rows
    from {{ ref(events) }} as events
    where {{ adx.is_touched(entity, 'events.' ~ event_date) }}
        and events.{{ event_date }} >= {{ limit }}
    union all
    select 0 as events, 1 as fact_rows
    from {{ ref(fact) }} as facts
    where {{ adx.is_touched(entity, 'facts.' ~ fact_date) }}
        and facts.{{ fact_date }} >= {{ limit }}
) as counted
having sum(counted.events) <> sum(counted.fact_rows)
union all
{%- endfor %}
select
    {{ adx.as_text("'fct_auctions'") }} as fact,
    sum(counted.events) as events,
    sum(counted.fact_rows) as fact_rows
from (
    select 1 as events, 0 as fact_rows
    from {{ ref('int_bid_requests_deduped') }} as requests
    inner join {{ ref('stg_bid_request_imps') }} as imps
        on requests.topic_id = imps.topic_id
        and requests.partition_id = imps.partition_id
        and requests.kafka_offset = imps.kafka_offset
    where {{ adx.is_touched('bid_requests', 'requests.event_date') }}
        and requests.event_date >= {{ limit }}
    union all
    select 0 as events, 1 as fact_rows
    from {{ ref('fct_auctions') }} as auctions
    where {{ adx.is_touched('bid_requests', 'auctions.auction_date') }}
        and auctions.auction_date >= {{ limit }}
) as counted
having sum(counted.events) <> sum(counted.fact_rows)
