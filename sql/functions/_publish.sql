-- The steps that every change of the registry shares.

CREATE OR REPLACE FUNCTION modeldb._who() RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user::text);
END;
COMMENT ON FUNCTION modeldb._who() IS 'The role that called, also from within a SECURITY DEFINER function.';

CREATE OR REPLACE FUNCTION modeldb._lock_registry() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE modeldb.publication IN SHARE ROW EXCLUSIVE MODE;
    IF modeldb._epoch() > (SELECT coalesce(max(epoch), 0) FROM modeldb.publication) THEN
        RAISE EXCEPTION 'the registry was changed by another transaction after this one took its snapshot'
            USING ERRCODE = 'serialization_failure', HINT = 'Roll back and run the transaction again.';
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._lock_registry() IS
    'One publication at a time, until the end of the transaction. Refuses a REPEATABLE READ transaction whose snapshot '
    'is older than the newest publication (40001).';

CREATE OR REPLACE FUNCTION modeldb._lock_registry_and_scorers() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE modeldb.publication IN EXCLUSIVE MODE;  -- attach_scorer() holds ROW SHARE, which lets others promote
    PERFORM modeldb._lock_registry();
END
$$;
COMMENT ON FUNCTION modeldb._lock_registry_and_scorers() IS
    'The same, and nobody attaches a scorer meanwhile: it might name what is to be taken away.';

CREATE OR REPLACE FUNCTION modeldb._publish(action text, model text, version integer, alias text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    new_epoch bigint := nextval('modeldb.epoch_seq');
BEGIN
    INSERT INTO modeldb.publication (epoch, action, model, version, alias, published_by)
    VALUES (new_epoch, action, model, version, alias, modeldb._who());
    PERFORM modeldb._write_epoch(new_epoch);
    RETURN new_epoch;
END
$$;
COMMENT ON FUNCTION modeldb._publish(text, text, integer, text) IS
    'Log a change and give it an epoch. The caller holds the lock of _lock_registry().';

CREATE OR REPLACE FUNCTION modeldb._write_epoch(epoch bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION modeldb._epoch() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS %L',
        format('SELECT %s::bigint', epoch)
    );
END
$$;
COMMENT ON FUNCTION modeldb._write_epoch(bigint) IS 'Replace _epoch() by one that returns this number.';

CREATE OR REPLACE FUNCTION modeldb._point(the_model text, the_alias text, to_version integer, how text, undo bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    new_epoch bigint := modeldb._publish(how, the_model, to_version, the_alias);
BEGIN
    INSERT INTO modeldb.alias_history (epoch, model, alias, version, action, back_to, changed_by)
    VALUES (new_epoch, the_model, the_alias, to_version, how, undo, modeldb._who());
    IF to_version IS NULL THEN
        DELETE FROM modeldb.alias a WHERE a.model = the_model AND a.alias = the_alias;
    ELSE
        INSERT INTO modeldb.alias AS a (model, alias, version, epoch)
        VALUES (the_model, the_alias, to_version, new_epoch)
        ON CONFLICT ON CONSTRAINT alias_pkey DO UPDATE SET version = excluded.version, epoch = excluded.epoch;
    END IF;
END
$$;
COMMENT ON FUNCTION modeldb._point(text, text, integer, text, bigint) IS
    'Let an alias point at a version (NULL: drop it) and write its history. The caller holds the lock.';
