{{ adx.touched_days_config('conversions', 'event_date') }}

{{ adx.losing_copies('stg_conversions', 'conversions') }}
