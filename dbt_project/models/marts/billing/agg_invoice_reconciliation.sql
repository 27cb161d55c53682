with billed as (

    select
        days.exchange_id,
        cast(date_trunc('month', days.billed_date) as date) as invoice_month,
        days.currency,
        {{ adx.sum_bigint('days.billed_impressions') }} as billed_impressions,
        {{ adx.sum_bigint('days.billed_impressions - days.priced_impressions') }} as unpriced_impressions,
        -- Rounded once, at the end: a thousandth of a micro per impression adds up.
        {{ adx.divide_half_up('sum(days.price_cpm_micros)', '1000') }} as billed_micros,
        max(days.load_id) as load_id
    from {{ ref('int_exchange_billed_days') }} as days
    group by days.exchange_id, cast(date_trunc('month', days.billed_date) as date), days.currency

),

compared as (

    select
        coalesce(billed.exchange_id, invoices.exchange_id) as exchange_id,
        coalesce(billed.invoice_month, invoices.month) as invoice_month,
        coalesce(billed.currency, invoices.currency) as currency,
        coalesce(billed.billed_impressions, 0) as billed_impressions,
        coalesce(billed.unpriced_impressions, 0) as unpriced_impressions,
        coalesce(billed.billed_micros, 0) as billed_micros,
        invoices.amount_micros as invoiced_micros,
        invoices.amount_micros - coalesce(billed.billed_micros, 0) as difference_micros,
        billed.load_id
    from billed
    full outer join {{ ref('stg_exchange_invoices') }} as invoices
        on billed.exchange_id = invoices.exchange_id
        and billed.invoice_month = invoices.month
        and billed.currency = invoices.currency

)

select
    compared.exchange_id,
    compared.invoice_month,
    compared.currency,
    compared.billed_impressions,
    compared.unpriced_impressions,
    compared.billed_micros,
    compared.invoiced_micros,
    compared.difference_micros,
    {{ adx.ratio('compared.difference_micros', 'compared.billed_micros') }} as difference_share,
    {{ adx.as_text("case
        when compared.invoiced_micros is null then 'not_invoiced'
        when " ~ adx.wide('abs(compared.difference_micros)') ~ " * 1000000
            <= " ~ adx.wide('compared.billed_micros') ~ " * " ~ var('adx_invoice_tolerance_ppm') ~ " then 'agrees'
        when compared.difference_micros > 0 then 'invoiced_too_much'
        else 'invoiced_too_little'
    end") }} as status,
    compared.load_id
from compared
