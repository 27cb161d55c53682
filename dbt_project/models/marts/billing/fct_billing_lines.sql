-- Made anew by every build, of one row per campaign, day and load: closing a month then needs no day to
-- be rebuilt.
with spend as (

    select
        days.advertiser_id,
        cast(date_trunc('month', days.local_date) as date) as billing_month,
        days.campaign_id,
        days.currency,
        {{ adx.as_text("case
            when closes.month is null then 'open'
            when days.notice_load_id <= closes.to_load_id then 'closed'
            else 'late'
        end") }} as line_kind,
        -- What came after the close is a line per load, so that it can be invoiced as it comes.
        case when days.notice_load_id > closes.to_load_id then days.notice_load_id end as late_load_id,
        days.billed_impressions,
        days.spend_micros,
        days.notice_load_id
    from {{ ref('int_billed_days') }} as days
    left join {{ ref('stg_billing_closes') }} as closes
        on days.advertiser_id = closes.advertiser_id
        and cast(date_trunc('month', days.local_date) as date) = closes.month

),

lines as (

    select
        spend.advertiser_id,
        spend.billing_month,
        spend.campaign_id,
        spend.currency,
        spend.line_kind,
        {{ adx.sum_bigint('spend.billed_impressions') }} as billed_impressions,
        {{ adx.sum_bigint('spend.spend_micros') }} as amount_micros,
        max(spend.notice_load_id) as load_id
    from spend
    group by
        spend.advertiser_id,
        spend.billing_month,
        spend.campaign_id,
        spend.currency,
        spend.line_kind,
        spend.late_load_id

),

-- What the invoice named and is no longer there: restatements took it out, or a rate was corrected.
gone as (

    select
        closes.advertiser_id,
        closes.month as billing_month,
        coalesce(max(advertisers.currency), {{ adx.no_currency() }}) as currency,
        max(closes.to_load_id) as load_id,
        {{ adx.as_bigint('max(closes.amount_micros) - coalesce(sum(lines.amount_micros), 0)') }} as amount_micros
    from {{ ref('stg_billing_closes') }} as closes
    left join lines
        on closes.advertiser_id = lines.advertiser_id
        and closes.month = lines.billing_month
        and lines.line_kind = 'closed'
    left join {{ ref('stg_advertisers') }} as advertisers
        on closes.advertiser_id = advertisers.advertiser_id
    where closes.amount_micros is not null
    group by closes.advertiser_id, closes.month

),

all_lines as (

    select
        lines.advertiser_id,
        lines.billing_month,
        lines.campaign_id,
        lines.currency,
        lines.line_kind,
        lines.billed_impressions,
        lines.amount_micros,
        lines.load_id
    from lines
    {%- for kind, sign in [('closed_gone', 1), ('withdrawn', -1)] %}
    union all
    select
        gone.advertiser_id,
        gone.billing_month,
        {{ adx.as_text("'all'") }} as campaign_id,
        gone.currency,
        {{ adx.as_text("'" ~ kind ~ "'") }} as line_kind,
        cast(0 as bigint) as billed_impressions,
        {{ sign }} * gone.amount_micros as amount_micros,
        gone.load_id
    from gone
    where gone.amount_micros <> 0
    {%- endfor %}

)

select
    all_lines.advertiser_id,
    all_lines.billing_month,
    all_lines.campaign_id,
    all_lines.currency,
    all_lines.line_kind,
    all_lines.line_kind in ('late', 'withdrawn') as is_adjustment,
    closes.closed_at,
    all_lines.billed_impressions,
    all_lines.amount_micros,
    all_lines.load_id
from all_lines
left join {{ ref('stg_billing_closes') }} as closes
    on all_lines.advertiser_id = closes.advertiser_id
    and all_lines.billing_month = closes.month
