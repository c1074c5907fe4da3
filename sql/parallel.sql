-- From PostgreSQL 17 on, a function may use SPI in a parallel worker; before, it would bring the server down.
DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT p.oid::regprocedure::text AS name FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'modeldb'::regnamespace AND p.proparallel = 'r' AND p.proname ~ '^_?predict'
            AND pg_catalog.current_setting('server_version_num')::integer >= 170000
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s PARALLEL SAFE', object.name);
    END LOOP;
END
$$;
