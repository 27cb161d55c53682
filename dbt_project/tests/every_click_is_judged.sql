-- The clicks of the fact and those that were judged are the same. Looks at rebuilt days.
select coalesce(clicks.event_id, judged.event_id) as event_id
from (
    select facts.event_id
    from {{ ref('fct_clicks') }} as facts
    where {{ adx.is_touched('click_quality', 'facts.click_date') }}
) as clicks
full outer join (
    select quality.event_id
    from {{ ref('fct_click_quality') }} as quality
    where {{ adx.is_touched('click_quality', 'quality.click_date') }}
) as judged on clicks.event_id = judged.event_id
where clicks.event_id is null
    or judged.event_id is null
