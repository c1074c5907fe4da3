-- Before PostgreSQL 17, SPI cannot be used from PL/Python while a query runs in parallel, not even in the leader: it needs
-- a subtransaction, and the error that refuses one leaves the interpreter broken, so that the next call brings the whole
-- server down. A RESTRICTED function runs in the leader of such a query, so the files say UNSAFE, which keeps the whole
-- query out of parallel mode. From 17 on there is nothing to fear.
DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT p.oid::regprocedure::text AS name FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'modeldb'::regnamespace AND p.proparallel = 'u' AND p.proname ~ '^_?predict'
            AND pg_catalog.current_setting('server_version_num')::integer >= 170000
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s PARALLEL SAFE', object.name);
    END LOOP;
END
$$;
