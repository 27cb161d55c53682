select
    cast(source.load_id as bigint) as load_id,
    {{ adx.as_text('source.table_name') }} as table_name,
    {{ adx.as_text('source.event_id') }} as event_id,
    cast(source.event_date as date) as event_date,
    {{ adx.as_text('source.exchange_id') }} as exchange_id,
    {{ adx.as_text('source.request_id') }} as request_id,
    {{ adx.as_text('source.imp_id') }} as imp_id,
    {{ adx.as_text('source.bid_id') }} as bid_id,
    {{ adx.as_text('source.impression_id') }} as impression_id,
    {{ adx.as_text('source.click_id') }} as click_id,
    {{ adx.as_text('source.user_id') }} as user_id,
    {{ adx.as_text('source.advertiser_id') }} as advertiser_id
from {{ source('control', 'removed_rows') }} as source
