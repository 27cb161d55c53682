{{ adx.touched_days_config('attribution', 'conversion_date') }}

{%- set half_life_micros = var('adx_half_life_hours') * 3600000000 %}
{#- Name of an amount that is divided, and the amount: one conversion in parts of 10^-8, its value,
    and its revenue. #}
{%- set amounts = [
    ('credit', '100000000'),
    ('value', 'weighted.value_micros'),
    ('revenue', 'weighted.revenue_micros'),
] %}

with touches as (

    select touches.*
    from {{ ref('int_attribution_touches') }} as touches
    {%- if adx.builds_touched_days() %}
    where {{ adx.is_touched('attribution', 'touches.conversion_date') }}
    {%- endif %}

),

rules as (

    select
        touches.*,
        models.model,
        {{ adx.as_text('null') }} as weights_version,
        -- Weights of one conversion mean something only next to each other. Time decay counts from
        -- the newest touch: however old all of them are, they do not vanish together.
        case
            when models.model = 'last_touch' then case when touches.last_touch_rank = 1 then 1 else 0 end
            when models.model = 'first_touch' then case when touches.touch_position = 1 then 1 else 0 end
            when models.model = 'linear' or touches.touch_count = 1 then 1
            when models.model = 'time_decay' then cast(round(1000000000 * power(
                cast(0.5 as {{ adx.type_double() }}),
                cast(touches.micros_to_conversion - min(touches.micros_to_conversion) over (
                    partition by touches.conversion_event_id, models.model
                ) as {{ adx.type_double() }}) / {{ half_life_micros }}
            )) as bigint)
            -- Position based: 40 % for the first, 40 % for the last, 20 % in equal parts between.
            when touches.touch_count = 2 then 1
            when touches.touch_position in (1, touches.touch_count) then 2 * (touches.touch_count - 2)
            else 1
        end as weight
    from touches
    cross join (
        {%- for model in ['last_touch', 'first_touch', 'linear', 'time_decay', 'position_based'] %}
        select {{ adx.as_text("'" ~ model ~ "'") }} as model{% if not loop.last %} union all{% endif %}
        {%- endfor %}
    ) as models

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
        touches.*,
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

{%- set columns = [
    'conversion_event_id', 'touch_event_id', 'touch_type', 'touched_at', 'micros_to_conversion',
    'touch_position', 'touch_count', 'impression_key', 'campaign_id', 'creative_id',
    'advertiser_id', 'order_id', 'conversion_type', 'converted_at', 'value_micros',
    'value_currency', 'revenue_micros', 'currency', 'load_id', 'conversion_date', 'model',
    'weights_version',
] %}

weighted as (

    select
        {%- for column in columns %}
        rules.{{ column }},
        {%- endfor %}
        rules.weight
    from rules
    where rules.weight > 0
    union all
    select
        {%- for column in columns %}
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
        weighted.*,
        {%- for name, amount in amounts %}
        {{ adx.whole_share(amount, 'weighted.weight', 'weighted.weights') }} as {{ name }}_whole{% if not loop.last %},{% endif %}
        {%- endfor %}
    from totals as weighted

),

ranked as (

    select
        weighted.*,
        {%- for name, amount in amounts %}
        {{ adx.as_bigint('sum(weighted.' ~ name ~ '_whole) over (partition by weighted.conversion_event_id, weighted.model)') }} as {{ name }}_wholes,
        -- Equal remainders: the newer touch first.
        row_number() over (
            partition by weighted.conversion_event_id, weighted.model
            order by
                coalesce({{ adx.share_remainder(amount, 'weighted.weight', 'weighted.weights', 'weighted.' ~ name ~ '_whole') }}, 0) desc nulls last,
                weighted.touch_position desc nulls last
        ) as {{ name }}_rank{% if not loop.last %},{% endif %}
        {%- endfor %}
    from wholes as weighted

)

select
    weighted.conversion_event_id,
    weighted.model,
    weighted.touch_event_id,
    weighted.touch_type,
    weighted.touched_at,
    weighted.touch_position,
    weighted.touch_count,
    weighted.impression_key,
    weighted.campaign_id,
    weighted.creative_id,
    weighted.advertiser_id,
    weighted.order_id,
    weighted.conversion_type,
    weighted.converted_at,
    weighted.micros_to_conversion,
    {#- A whole number of 10^-8: exact in decimals. #}
    cast({{ adx.share('100000000', 'weighted.credit_whole', 'weighted.credit_wholes', 'weighted.credit_rank') }} * cast(0.00000001 as decimal(8, 8)) as decimal(9, 8)) as credit,
    {{ adx.share('weighted.value_micros', 'weighted.value_whole', 'weighted.value_wholes', 'weighted.value_rank') }} as credited_value_micros,
    weighted.value_currency,
    {{ adx.share('weighted.revenue_micros', 'weighted.revenue_whole', 'weighted.revenue_wholes', 'weighted.revenue_rank') }} as credited_revenue_micros,
    weighted.currency,
    weighted.weights_version,
    weighted.load_id,
    weighted.conversion_date
from ranked as weighted
