{{ adx.touched_days_config('exchange', 'event_date') }}

{%- set incremental = adx.builds_touched_days() %}
{%- set measures = [
    'requests', 'bids', 'wins', 'priced_wins', 'clearing_price_cpm_micros', 'billed_impressions',
    'net_impressions', 'net_clicks',
] %}
{%- set no_currency = adx.no_currency() %}

with auctions as (

    select auctions.*
    from {{ ref('fct_auctions') }} as auctions
    {%- if incremental %}
    where {{ adx.is_touched('exchange', 'auctions.auction_date') }}
    {%- endif %}

),

impressions as (

    select impressions.*
    from {{ ref('fct_impressions') }} as impressions
    {%- if incremental %}
    where {{ adx.is_near_touched('exchange', 'impressions.impression_date') }}
    {%- endif %}

),

{#- One entry per source: alias, relation, when, currency, condition, and its measures. -#}
{%- set sources = [
    ('auctions', 'auctions', 'requested_at', no_currency, 'auctions.imp_index = 0', {'requests': '1'}),
    ('auctions', 'auctions', 'requested_at', 'coalesce(auctions.bid_currency, ' ~ no_currency ~ ')',
        "auctions.decision = 'bid'", {'bids': '1'}),
    ('auctions', 'auctions', 'requested_at', 'coalesce(auctions.clearing_currency, auctions.bid_currency, ' ~ no_currency ~ ')',
        "auctions.outcome = 'won'", {
            'wins': '1',
            'priced_wins': adx.one_if('auctions.clearing_price_cpm_micros is not null'),
            'clearing_price_cpm_micros': 'coalesce(auctions.clearing_price_cpm_micros, 0)',
        }),
    ('impressions', 'impressions', 'billed_at', 'coalesce(impressions.billed_currency, ' ~ no_currency ~ ')',
        'impressions.billed_at is not null', {'billed_impressions': '1'}),
    ('impressions', 'impressions', 'rendered_at', no_currency,
        'impressions.rendered_at is not null and not impressions.is_givt', {'net_impressions': '1'}),
    ('clicks', ref('fct_clicks'), 'clicked_at', no_currency, 'not clicks.is_givt', {'net_clicks': '1'}),
] %}

happened as (
    {% for alias, relation, time, currency, condition, values in sources %}
    select
        {{ alias }}.{{ time }} as happened_at,
        coalesce({{ alias }}.exchange_id, 'unknown') as exchange_id,
        {{ currency }} as currency,
        {%- for measure in measures %}
        cast({{ values.get(measure, '0') }} as bigint) as {{ measure }},
        {%- endfor %}
        {{ alias }}.load_id
    from {{ relation }} as {{ alias }}
    where {{ condition }}
    {%- if incremental %}
        and {{ adx.is_touched('exchange', 'cast(' ~ alias ~ '.' ~ time ~ ' as date)') }}
        {%- if alias == 'clicks' %}
        and {{ adx.is_touched('exchange', 'clicks.click_date') }}
        {%- endif %}
    {%- endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

)

select
    {{ adx.hour_of('happened.happened_at') }} as hour_start,
    happened.exchange_id,
    happened.currency,
    {%- for measure in measures %}
    {{ adx.sum_bigint('happened.' ~ measure) }} as {{ measure }},
    {%- endfor %}
    max(happened.load_id) as load_id,
    cast(happened.happened_at as date) as event_date
from happened
group by
    {{ adx.hour_of('happened.happened_at') }},
    happened.exchange_id,
    happened.currency,
    cast(happened.happened_at as date)
