#!/usr/bin/env bash
# Starts PostgreSQL with modeldb installed in its database "modeldb". Arguments go to the server: -c work_mem=64MB
#
# MODELDB_PASSWORD       the password of the superuser postgres, at every start; there is no default
# MODELDB_PASSWORD_FILE  a file that holds it instead, such as a secret (/run/secrets/modeldb_password when there is one)
set -euo pipefail

data=/var/lib/modeldb/data
programs=$(echo /usr/lib/postgresql/*/bin)
secret=${MODELDB_PASSWORD_FILE:-/run/secrets/modeldb_password}

say() { echo "modeldb: $*" >&2; }
die() {
    say "error: $*"
    exit 1
}

read_password() {
    local from_file=''
    if [[ -n ${MODELDB_PASSWORD_FILE:-} && ! -r $secret ]]; then die "MODELDB_PASSWORD_FILE: cannot read $secret."; fi
    if [[ -r $secret ]]; then from_file=$(<"$secret"); fi
    if [[ -n ${MODELDB_PASSWORD:-} && -n $from_file && $from_file != "$MODELDB_PASSWORD" ]]; then
        die "MODELDB_PASSWORD and the secret $secret differ: give one of them."
    fi
    MODELDB_PASSWORD=${MODELDB_PASSWORD:-$from_file}
    [[ -n $MODELDB_PASSWORD ]] ||
        die "no password: set MODELDB_PASSWORD, or MODELDB_PASSWORD_FILE to a file that holds one. There is no default."
}

# As root only what needs root: the secret may be readable by root alone, and a mounted volume may belong to root.
become_postgres() {
    find "${data%/*}" ! -user postgres -exec chown -h postgres:postgres {} + # another image may number its users otherwise
    install -d -o postgres -g postgres -m 2775 /var/run/postgresql
    export MODELDB_PASSWORD
    exec setpriv --reuid postgres --regid postgres --init-groups env -u MODELDB_PASSWORD_FILE HOME=/var/lib/postgresql "$0" "$@"
}

# In a folder that gets its name when it is whole, so that an interrupted start is not taken for a finished one.
make_data() {
    say "making a new database in $data"
    rm -rf "$data.unfinished"
    "$programs/initdb" --pgdata "$data.unfinished" --username postgres --encoding UTF8 --locale C.UTF-8 \
        --data-checksums --auth scram-sha-256 --pwfile <(echo "$MODELDB_PASSWORD") >/dev/null
    echo "include 'modeldb.conf'" >>"$data.unfinished/postgresql.conf"
    touch "$data.unfinished/modeldb.conf"
    make_rules "$data.unfinished"
    "$programs/postgres" --single -D "$data.unfinished" postgres >/dev/null <<<"CREATE DATABASE modeldb"
    mv -T "$data.unfinished" "$data"
}

# Only when the database is made: from then on both files are the administrator's.
make_rules() {
    cat >"$1/pg_hba.conf" <<HBA
# Written when the database was made, and never again: put rules of your own here; the first that matches counts.
# Keep the next line first: by it the container itself installs modeldb and checks its health.
local all postgres peer map=container
local all all scram-sha-256
host all all all scram-sha-256
HBA
    cat >"$1/pg_ident.conf" <<IDENT
# Written when the database was made, and never again: add maps of your own, and keep the map "container".
container postgres postgres
container root postgres
IDENT
}

check_version() {
    local made_by
    made_by=$(<"$data/PG_VERSION")
    [[ $programs == */"$made_by"/bin ]] ||
        die "the volume was made by PostgreSQL $made_by and this image has $programs: dump it with the old image, and restore."
}

configure() {
    cat >"$data/modeldb.conf" <<CONF
# Written at every start of the container. For settings of your own use ALTER SYSTEM, or arguments of the container.
listen_addresses = '*'
unix_socket_directories = '/var/run/postgresql'
shared_preload_libraries = 'pg_cron'
cron.database_name = 'modeldb'
cron.use_background_workers = on
CONF
}

control() { "$programs/pg_ctl" --silent --wait --timeout 300 --pgdata "$data" "$@" >&2; }

# Brings the password and modeldb up to date while nobody else can reach the server.
install_modeldb() {
    local private
    private=$(mktemp -d)
    trap 'control stop --mode fast' EXIT # also when this fails, or the container is stopped meanwhile
    control start --options "-c listen_addresses='' -c unix_socket_directories='$private'"
    PGHOST=$private psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$MODELDB_PASSWORD" \
        <<<"ALTER ROLE postgres PASSWORD :'password'"
    MODELDB_URL="postgresql://postgres@/modeldb?host=$private" modeldb install >&2 ||
        die "modeldb could not be installed; why is said above."
    trap - EXIT
    control stop --mode fast
    rmdir "$private"
}

# PostgreSQL waits for its clients to leave when it gets SIGTERM; what stops a container does not mean that.
serve() {
    local server status
    "$programs/postgres" -D "$data" "$@" &
    server=$!
    trap 'kill -INT "$server"' TERM INT
    while kill -0 "$server" 2>/dev/null; do wait "$server" && status=0 || status=$?; done
    exit "${status:-0}"
}

trap 'exit 143' TERM INT # without it, process 1 of a container ignores them
read_password
if ((EUID == 0)); then become_postgres "$@"; fi
[[ -s $data/PG_VERSION ]] || make_data
check_version
configure
install_modeldb
unset MODELDB_PASSWORD
serve "$@"
