{{ adx.touched_days_config('clicks', 'event_date') }}

{{ adx.losing_copies('stg_clicks', 'clicks') }}
