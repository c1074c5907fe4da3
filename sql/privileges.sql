-- Who may what. Everything of the schema belongs to modeldb_admin, which is not a superuser: a SECURITY DEFINER function
-- runs with its rights and no more. Applied last at every installation; a privilege granted by hand on modeldb's own
-- objects is taken back here, one on a user's views is not touched.

DO $$
DECLARE
    object record;
BEGIN
    ALTER SCHEMA modeldb OWNER TO modeldb_admin;
    FOR object IN
        SELECT c.oid::regclass::text AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'modeldb'::regnamespace AND c.relkind IN ('r', 'v', 'S')
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO modeldb_admin', object.kind, object.name);
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM PUBLIC, modeldb_publisher, modeldb_user', object.name);
    END LOOP;
    FOR object IN
        SELECT p.oid::regprocedure::text AS name FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'modeldb'::regnamespace
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s OWNER TO modeldb_admin', object.name);
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, modeldb_publisher, modeldb_user', object.name);
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA modeldb FROM PUBLIC;
GRANT modeldb_user TO modeldb_publisher;
GRANT modeldb_publisher TO modeldb_admin;

-- modeldb_user predicts and reads the registry, but neither weights nor smoke rows.
GRANT USAGE ON SCHEMA modeldb TO modeldb_user;
GRANT SELECT ON
    modeldb.models, modeldb.versions, modeldb.aliases, modeldb.alias_history, modeldb.publication, modeldb.settings,
    modeldb.artifact, modeldb.model, modeldb.model_version, modeldb.alias, modeldb.model_setting,
    modeldb.alembic_version
    TO modeldb_user;
GRANT EXECUTE ON FUNCTION
    modeldb._epoch(), modeldb._python(), modeldb._load(text), modeldb._route(text, bigint), modeldb._parse(text),
    modeldb._nearest(text, text[]), modeldb._raise_unknown_model(text),
    modeldb._raise_unknown_version(text, integer), modeldb._raise_unknown_alias(text, text),
    modeldb._predict(text, bytea, bigint), modeldb._predict_label(text, bytea, bigint),
    modeldb._predict_proba(text, bytea, bigint), modeldb._predict_proba(text, bytea, bigint, text),
    modeldb._predict_json(text, bytea, bigint), modeldb._predict_rows(text, bytea, bigint),
    modeldb.predict(text, anyelement), modeldb.predict(text, text),
    modeldb.predict_label(text, anyelement), modeldb.predict_label(text, text),
    modeldb.predict_proba(text, anyelement), modeldb.predict_proba(text, text),
    modeldb.predict_proba(text, anyelement, text), modeldb.predict_proba(text, text, text),
    modeldb.predict_json(text, anyelement), modeldb.predict_json(text, text),
    modeldb.describe(text), modeldb.cache()
    TO modeldb_user;

-- modeldb_publisher registers and promotes; the functions run as modeldb_admin.
GRANT EXECUTE ON FUNCTION
    modeldb.register_model(text, bytea, jsonb, text, jsonb, jsonb, jsonb, boolean, jsonb, jsonb, jsonb, jsonb),
    modeldb.promote(text, integer, text), modeldb.rollback(text, text, integer), modeldb.retire(text, integer),
    modeldb.delete_model(text, integer, boolean), modeldb.drop_alias(text, text), modeldb.configure(text, text),
    modeldb.load(text)
    TO modeldb_publisher;
