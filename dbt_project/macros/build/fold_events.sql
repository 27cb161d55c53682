{#- What one bid became, as one row: used twice, for bids whose events need no order and for the others. -#}

{% macro fold_notices(relation) %}
    select
        {{ adx.bid_key_columns('notices') }},
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'win'") }} as won_at,
        {{ adx.value_where('notices.price_cpm_micros', "notices.notice_type = 'win'") }} as win_price_cpm_micros,
        {{ adx.value_where('notices.currency', "notices.notice_type = 'win'") }} as win_currency,
        {{ adx.value_where('notices.event_time', "notices.notice_type = 'billing'") }} as billed_at,
        {{ adx.value_where('notices.price_cpm_micros', "notices.notice_type = 'billing'") }} as billing_price_cpm_micros,
        {{ adx.value_where('notices.currency', "notices.notice_type = 'billing'") }} as billing_currency,
        {%- for column in ['campaign_id', 'creative_id', 'advertiser_id'] %}
        coalesce(
            {{ adx.value_where('notices.' ~ column, "notices.notice_type = 'billing'") }},
            {{ adx.value_where('notices.' ~ column, "notices.notice_type = 'win'") }}
        ) as {{ column }},
        {%- endfor %}
        {{ adx.any_true('notices.is_late') }} as is_late,
        max(notices.load_id) as load_id,
        {{ adx.count_where("notices.notice_type = 'win'") }} as wins,
        {{ adx.count_where("notices.notice_type = 'billing'") }} as billings
    from {{ relation }} as notices
    group by {{ adx.bid_key_columns('notices') }}
{%- endmacro %}

{% macro fold_impression_events(relation, is_telling) %}
    select
        {{ adx.bid_key_columns('events') }},
        min(case when events.event_type = 'rendered' then events.event_time end) as rendered_at,
        min(case when events.event_type = 'measurable' then events.event_time end) as measurable_at,
        min(case when events.event_type = 'viewable' then events.event_time end) as viewable_at,
        {%- for column in [
            'impression_id', 'campaign_id', 'creative_id', 'advertiser_id', 'publisher_id',
            'site_domain', 'app_bundle', 'placement_id', 'geo_country', 'device_type', 'user_id',
        ] %}
        {{ adx.value_where('events.' ~ column, is_telling) }} as {{ column }},
        {%- endfor %}
        {{ adx.value_where('events.event_id', is_telling ~ " and events.event_type = 'rendered'") }} as rendered_event_id,
        {{ adx.any_true(is_telling ~ ' and events.has_consent') }} as has_consent,
        {{ adx.any_true('events.is_givt') }} as is_givt,
        min(case when events.is_givt then events.givt_reason end) as givt_reason,
        {{ adx.any_true('events.is_late') }} as is_late,
        max(events.load_id) as load_id,
        {{ adx.count_where("events.event_type = 'rendered'") }} as rendered_events
    from {{ relation }} as events
    group by {{ adx.bid_key_columns('events') }}
{%- endmacro %}
