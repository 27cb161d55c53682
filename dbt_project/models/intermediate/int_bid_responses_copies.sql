{{ adx.touched_days_config('bid_responses', 'event_date') }}

{{ adx.losing_copies('stg_bid_responses', 'bid_responses') }}
