-- Filled in by the installer: where the environment is, and which version of the package this schema goes with.
-- The paths are part of the function, because a setting could be changed by any role.
CREATE OR REPLACE FUNCTION modeldb._python() RETURNS void
LANGUAGE plpython3u STABLE PARALLEL UNSAFE
AS $python$
import sys
sys.path[:0] = [path for path in {paths} if path not in sys.path]
try:
    from modeldb.server import check_version; check_version("{version}")
except (ImportError, OSError) as error:
    plpy.error(f"the server's Python cannot import modeldb: {error}", sqlstate="MD902", detail=f"sys.path: {sys.path[:3]}", hint="Run: modeldb doctor")
$python$;
COMMENT ON FUNCTION modeldb._python() IS
    'Prepare the interpreter of this backend: put modeldb''s environment first on sys.path. Errors: MD902, MD903.';
