-- The roles are the cluster's, not the database's: made before anything else, and only when they are missing. Two can
-- log in, and have no password until an administrator gives one: modeldb_cron, as which pg_cron runs its jobs, and
-- modeldb_worker, of which whoever runs `modeldb worker` is a member.
DO $$
DECLARE
    name text;
    login text;
BEGIN
    FOR name, login IN VALUES
        ('modeldb_owner', 'NOLOGIN'), ('modeldb_admin', 'NOLOGIN'), ('modeldb_publisher', 'NOLOGIN'),
        ('modeldb_user', 'NOLOGIN'), ('modeldb_worker', 'LOGIN'), ('modeldb_cron', 'LOGIN')
    LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
                EXECUTE pg_catalog.format('CREATE ROLE %I %s', name, login);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this cluster is being installed at the same moment
        END;
    END LOOP;
END
$$;

-- Incremental predictions ask when the oldest transaction began, and schedules whether pg_cron is at work.
GRANT pg_read_all_stats TO modeldb_owner;
