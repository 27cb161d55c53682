-- What Redshift's catalogue and functions are asked for, over PostgreSQL's own.
-- Only shapes: how Redshift itself computes is not tested by these.
set allow_system_table_mods = on;

-- Late-binding views and external tables: there are none.
create function pg_catalog.pg_get_late_binding_view_cols() returns setof record
language sql stable as
$$ select null::name, null::name, null::name, null::varchar, null::int where false $$;

create view pg_catalog.svv_external_columns as
select ''::varchar as schemaname, ''::varchar as tablename, ''::varchar as columnname,
    ''::varchar as external_type, 0 as columnnum, 0 as part_key, ''::varchar as is_nullable
where false;

-- unsorted: shuffled rows cannot be told here. stats_off: the share changed since ANALYZE.
create view pg_catalog.svv_table_info as
select
    current_database()::varchar as "database",
    t.schemaname::varchar as "schema",
    t.relid::int as table_id,
    t.relname::varchar as "table",
    'AUTO(ALL)'::varchar as diststyle,
    null::varchar as sortkey1,
    (t.n_live_tup)::numeric as tbl_rows,
    (100.0 * t.n_dead_tup / greatest(t.n_live_tup + t.n_dead_tup, 1))::numeric as unsorted,
    (100.0 * least(t.n_mod_since_analyze, t.n_live_tup) / greatest(t.n_live_tup, 1))::numeric
        as stats_off,
    (t.n_live_tup)::numeric as estimated_visible_rows
from pg_stat_user_tables as t;

create function pg_catalog.getdate() returns timestamp
language sql stable as $$ select (now() at time zone 'UTC')::timestamp(6) $$;

create function pg_catalog.dateadd(text, bigint, timestamp) returns timestamp
language sql immutable as $$ select $3 + $2 * ('1 ' || $1)::interval $$;

create function pg_catalog.datediff(part text, a timestamp, b timestamp) returns bigint
language sql immutable as
$$
select case part
    when 'microsecond' then (extract(epoch from b - a) * 1000000)::bigint
    when 'second' then extract(epoch from date_trunc(part, b) - date_trunc(part, a))::bigint
    when 'minute' then extract(epoch from date_trunc(part, b) - date_trunc(part, a))::bigint / 60
    when 'hour' then extract(epoch from date_trunc(part, b) - date_trunc(part, a))::bigint / 3600
    when 'day' then extract(epoch from date_trunc(part, b) - date_trunc(part, a))::bigint / 86400
end
$$;
