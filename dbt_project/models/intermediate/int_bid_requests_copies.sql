{{ adx.touched_days_config('bid_requests', 'event_date') }}

{{ adx.losing_copies('stg_bid_requests', 'bid_requests') }}
