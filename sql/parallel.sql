-- Before PostgreSQL 17, SPI in PL/Python fails during a parallel query ("cannot start subtransactions during a parallel
-- operation") and leaves an interpreter behind whose next call ends in a segmentation fault. That holds for the leader
-- too, where PARALLEL RESTRICTED functions run: so the functions are PARALLEL UNSAFE there, and safe from 17 on.
-- A role could still wrap one in a function of its own with a false label. Therefore every PL/Python body refuses
-- (MD404) before it first asks SPI; MyBackendId is a variable that servers before 17 have.
DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT p.oid::regprocedure::text AS name FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'modeldb'::regnamespace
            AND p.proname ~ '^(_?predict|_python$|_load$|_route$)' AND p.proparallel = 'u'
            AND pg_catalog.current_setting('server_version_num')::integer >= 170000
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s PARALLEL SAFE', object.name);
    END LOOP;
END
$$;
