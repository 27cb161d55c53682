-- The credit of a conversion's touches, per model, adds up to one conversion and its whole value.
-- Looks at rebuilt days.
select
    attribution.conversion_event_id,
    attribution.model
from {{ ref('fct_attribution') }} as attribution
inner join {{ ref('fct_conversions') }} as conversions
    on attribution.conversion_event_id = conversions.event_id
where {{ adx.is_touched('attribution', 'attribution.conversion_date') }}
group by attribution.conversion_event_id, attribution.model
having sum(attribution.credit) <> 1
    or sum(coalesce(attribution.credited_value_micros, 0)) <> max(coalesce(conversions.value_micros, 0))
    or sum(coalesce(attribution.credited_revenue_micros, 0)) <> max(coalesce(conversions.revenue_micros, 0))
