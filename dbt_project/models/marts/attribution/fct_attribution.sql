{{ adx.touched_days_config('attribution', 'conversion_date') }}

{%- set half_life_micros = var('adx_half_life_hours') * 3600000000 %}
{#- Name of an amount that is divided, and the amount: one conversion in parts of 10^-8, its value,
    and its revenue. #}
{%- set amounts = [
    ('credit', '100000000'),
    ('value', 'shares.value_micros'),
    ('revenue', 'shares.revenue_micros'),
] %}

{#- What the shares of a touch are made from, and what they belong to. #}
{%- set carried = ['conversion_event_id', 'touch_position', 'value_micros', 'revenue_micros', 'model'] %}

with touches as (

    select
        touches.*,
        min(touches.micros_to_conversion) over (
            partition by touches.conversion_event_id
        ) as newest_micros_to_conversion
    from {{ ref('int_attribution_touches') }} as touches
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('attribution', 'touches.conversion_date') }}
    {%- endif %}

),

-- Until every touch has its share only what the shares need is carried along: sorting rows of twenty
-- columns, most of them texts, took two thirds of this model's time (measured 2026-11 on DuckDB).
ruled as {{ adx.read_twice() }}(

    select
        touches.conversion_event_id,
        touches.touch_position,
        touches.last_touch_rank,
        touches.touch_count,
        touches.micros_to_conversion,
        touches.newest_micros_to_conversion,
        touches.value_micros,
        touches.revenue_micros,
        models.model,
        models.model in ('last_touch', 'first_touch', 'linear')
            or touches.touch_count = 1
            or (models.model = 'position_based' and touches.touch_count = 2) as is_even
    from touches
    cross join (
        {%- for model in ['last_touch', 'first_touch', 'linear', 'time_decay', 'position_based'] %}
        select {{ adx.as_text("'" ~ model ~ "'") }} as model{% if not loop.last %} union all{% endif %}
        {%- endfor %}
    ) as models

),

-- Where all that share have the same weight, the remainders are equal and the newer touches get what is
-- left. That needs no sorting: 22 CPU s instead of 26 for five million rows (measured 2026-11 on DuckDB).
even as (

    select
        {%- for column in carried %}
        ruled.{{ column }},
        {%- endfor %}
        case when ruled.model in ('last_touch', 'first_touch') then 1 else ruled.touch_count end as sharers,
        case
            when ruled.model in ('last_touch', 'first_touch') then 1
            else ruled.touch_count - ruled.touch_position + 1
        end as newest_rank
    from ruled
    where ruled.is_even
        and (ruled.model <> 'last_touch' or ruled.last_touch_rank = 1)
        and (ruled.model <> 'first_touch' or ruled.touch_position = 1)

),

even_shares as (

    select
        shares.conversion_event_id,
        shares.touch_position,
        shares.model,
        {{ adx.as_text('null') }} as weights_version,
        {%- for name, amount in amounts %}
        {{ adx.share(amount, 'shares.' ~ name ~ '_whole', 'shares.sharers * shares.' ~ name ~ '_whole', 'shares.newest_rank') }} as {{ name }}_share{% if not loop.last %},{% endif %}
        {%- endfor %}
    from (
        select
            shares.*,
            {%- for name, amount in amounts %}
            {{ adx.integer_quotient('abs(' ~ amount ~ ')', 'shares.sharers') }} as {{ name }}_whole{% if not loop.last %},{% endif %}
            {%- endfor %}
        from even as shares
    ) as shares

),

uneven as (

    select
        {%- for column in carried %}
        ruled.{{ column }},
        {%- endfor %}
        {{ adx.as_text('null') }} as weights_version,
        -- Weights of one conversion mean something only next to each other. Time decay counts from
        -- the newest touch: however old all of them are, they do not vanish together.
        case
            when ruled.model = 'time_decay' then cast(round(1000000000 * power(
                cast(0.5 as {{ adx.type_double() }}),
                cast(ruled.micros_to_conversion - ruled.newest_micros_to_conversion as {{ adx.type_double() }}) / {{ half_life_micros }}
            )) as bigint)
            -- Position based: 40 % for the first, 40 % for the last, 20 % in equal parts between.
            when ruled.touch_position in (1, ruled.touch_count) then 2 * (ruled.touch_count - 2)
            else 1
        end as weight
    from ruled
    where not ruled.is_even

),

versions as (

    select
        weights.advertiser_id,
        weights.model,
        weights.window_start,
        weights.window_end,
        max(weights.version) as version
    from {{ ref('stg_attribution_weights') }} as weights
    group by weights.advertiser_id, weights.model, weights.window_start, weights.window_end

),

data_driven as (

    select
        touches.conversion_event_id,
        touches.touch_position,
        touches.value_micros,
        touches.revenue_micros,
        versions.model,
        versions.version as weights_version,
        coalesce(weights.weight, 0) as known_weight,
        sum(coalesce(weights.weight, 0)) over (
            partition by touches.conversion_event_id, versions.model
        ) as known_weights
    from touches
    inner join versions
        on touches.advertiser_id = versions.advertiser_id
        and touches.conversion_date >= versions.window_start
        and touches.conversion_date < versions.window_end
    left join {{ ref('stg_attribution_weights') }} as weights
        on versions.advertiser_id = weights.advertiser_id
        and versions.model = weights.model
        and versions.window_start = weights.window_start
        and versions.window_end = weights.window_end
        and versions.version = weights.version
        and touches.campaign_id = weights.campaign_id

),

weighted as (

    select
        {%- for column in carried + ['weights_version'] %}
        uneven.{{ column }},
        {%- endfor %}
        uneven.weight
    from uneven
    where uneven.weight > 0
    union all
    select
        {%- for column in carried + ['weights_version'] %}
        data_driven.{{ column }},
        {%- endfor %}
        -- A path of campaigns that the training did not know, or found to be worth nothing.
        case when data_driven.known_weights = 0 then 1 else data_driven.known_weight end as weight
    from data_driven
    where data_driven.known_weight > 0
        or data_driven.known_weights = 0

),

totals as (

    select
        weighted.*,
        {{ adx.as_bigint('sum(weighted.weight) over (partition by weighted.conversion_event_id, weighted.model)') }} as weights
    from weighted

),

wholes as (

    select
        shares.*,
        {%- for name, amount in amounts %}
        {{ adx.whole_share(amount, 'shares.weight', 'shares.weights') }} as {{ name }}_whole{% if not loop.last %},{% endif %}
        {%- endfor %}
    from totals as shares

),

ranked as (

    select
        shares.*,
        {%- for name, amount in amounts %}
        {{ adx.as_bigint('sum(shares.' ~ name ~ '_whole) over (partition by shares.conversion_event_id, shares.model)') }} as {{ name }}_wholes,
        -- Equal remainders: the newer touch first.
        row_number() over (
            partition by shares.conversion_event_id, shares.model
            order by
                coalesce({{ adx.share_remainder(amount, 'shares.weight', 'shares.weights', 'shares.' ~ name ~ '_whole') }}, 0) desc nulls last,
                shares.touch_position desc nulls last
        ) as {{ name }}_rank{% if not loop.last %},{% endif %}
        {%- endfor %}
    from wholes as shares

),

shared as (

    select even_shares.* from even_shares
    union all
    select
        shares.conversion_event_id,
        shares.touch_position,
        shares.model,
        shares.weights_version,
        {%- for name, amount in amounts %}
        {{ adx.share(amount, 'shares.' ~ name ~ '_whole', 'shares.' ~ name ~ '_wholes', 'shares.' ~ name ~ '_rank') }} as {{ name }}_share{% if not loop.last %},{% endif %}
        {%- endfor %}
    from ranked as shares

)

select
    touches.conversion_event_id,
    shared.model,
    touches.touch_event_id,
    touches.touch_type,
    touches.touched_at,
    touches.touch_position,
    touches.touch_count,
    touches.impression_key,
    touches.campaign_id,
    touches.creative_id,
    touches.advertiser_id,
    touches.order_id,
    touches.conversion_type,
    touches.converted_at,
    touches.micros_to_conversion,
    {#- A whole number of 10^-8: exact in decimals. #}
    cast(shared.credit_share * cast(0.00000001 as decimal(8, 8)) as decimal(9, 8)) as credit,
    shared.value_share as credited_value_micros,
    touches.value_currency,
    shared.revenue_share as credited_revenue_micros,
    touches.currency,
    shared.weights_version,
    touches.load_id,
    touches.conversion_date
from shared
inner join touches
    on shared.conversion_event_id = touches.conversion_event_id
    and shared.touch_position = touches.touch_position
