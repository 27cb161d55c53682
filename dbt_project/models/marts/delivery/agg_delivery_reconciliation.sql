{{ adx.touched_days_config('impression', 'impression_date') }}

{#- Each gap is a place where money or impressions go missing between us and the exchange. -#}
{%- set gaps = {
    'won_not_billed': 'impressions.won_at is not null and impressions.billed_at is null',
    'billed_not_won': 'impressions.billed_at is not null and impressions.won_at is null',
    'billed_not_rendered': 'impressions.billed_at is not null and impressions.rendered_at is null',
    'rendered_not_billed': 'impressions.rendered_at is not null and impressions.billed_at is null',
    'rendered_not_measurable': 'impressions.rendered_at is not null and impressions.measurable_at is null',
    'measurable_not_viewable': 'impressions.measurable_at is not null and impressions.viewable_at is null',
    'viewable_not_measurable': 'impressions.viewable_at is not null and impressions.measurable_at is null',
    'seen_not_rendered': 'impressions.rendered_at is null and (impressions.measurable_at is not null or impressions.viewable_at is not null)',
    'without_response': 'not impressions.has_response',
    'billed_without_price': 'impressions.billed_at is not null and impressions.spend_micros is null',
} -%}

select
    impressions.campaign_id,
    impressions.advertiser_id,
    impressions.exchange_id,
    coalesce(impressions.currency, {{ adx.no_currency() }}) as currency,
    {{ adx.count_bigint() }} as impressions,
    {%- for moment in ['won', 'billed', 'rendered', 'measurable', 'viewable'] %}
    {{ adx.count_where('impressions.' ~ moment ~ '_at is not null') }} as {{ moment }},
    {%- endfor %}
    {%- for gap, condition in gaps.items() %}
    {{ adx.count_where(condition) }} as {{ gap }},
    {%- endfor %}
    {{ adx.sum_bigint('coalesce(impressions.spend_micros, 0)') }} as spend_micros,
    {{ adx.sum_bigint('case when impressions.rendered_at is null then coalesce(impressions.spend_micros, 0) else 0 end') }} as spend_not_rendered_micros,
    max(impressions.load_id) as load_id,
    impressions.impression_date
from {{ ref('fct_impressions') }} as impressions
{%- if adx.builds_touched_days() %}
where {{ adx.is_touched('impression', 'impressions.impression_date') }}
{%- endif %}
group by
    impressions.campaign_id,
    impressions.advertiser_id,
    impressions.exchange_id,
    coalesce(impressions.currency, {{ adx.no_currency() }}),
    impressions.impression_date
