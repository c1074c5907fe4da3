-- The roles are the cluster's, not the database's: made before anything else, and only when they are missing.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['modeldb_owner', 'modeldb_admin', 'modeldb_publisher', 'modeldb_user'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this cluster is being installed at the same moment
        END;
    END LOOP;
END
$$;
