CREATE OR REPLACE FUNCTION modeldb._next_epoch(cron text, after double precision) RETURNS double precision
LANGUAGE plpython3u STABLE SET search_path = pg_catalog, pg_temp
AS $$
if "call" not in SD:
    plpy.execute("SELECT modeldb._python()")
    from modeldb.server import entry; SD["call"] = entry("next_time")
return SD["call"](cron, after)
$$;
COMMENT ON FUNCTION modeldb._next_epoch(text, double precision) IS
    'The first time of a schedule after a time, both in seconds since 1970; MD504 when it is no schedule.';

CREATE OR REPLACE FUNCTION modeldb._next_time(cron text, after timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN to_timestamp(modeldb._next_epoch(cron, extract(epoch FROM after)::double precision));
END
$$;
COMMENT ON FUNCTION modeldb._next_time(text, timestamptz) IS
    'The first time of a schedule, five fields of cron in UTC, after a time. Errors: MD504.';
