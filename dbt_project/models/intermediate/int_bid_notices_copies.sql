{{ adx.touched_days_config('bid_notices', 'event_date') }}

{{ adx.losing_copies('stg_bid_notices', 'bid_notices') }}
