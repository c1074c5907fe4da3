#!/usr/bin/env bash
# Prepares a Debian or Ubuntu machine for modeldb; make runs it on a developer's machine, and the docker image runs it too.
#
#   setup.sh system         installs by apt what is missing: PostgreSQL, its PL/Python, pg_cron, Python's venv
#   setup.sh env [EXTRAS]   installs modeldb into an environment of the very Python that PL/Python is linked with,
#                           and prints the path of that environment's Python (its only line on standard output)
#   setup.sh clean          removes that environment
#
# MODELDB_HOME      where environments are kept (root: /var/lib/modeldb, others: ~/.local/share/modeldb)
# MODELDB_ENV       the environment's folder, when it should not be one of MODELDB_HOME/env
# MODELDB_PG_BINDIR the folder of the PostgreSQL programs to use, when not Debian's newest
set -euo pipefail
umask 022 # the server runs as another user and has to read what is installed here
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
pg_base=/usr/lib/postgresql
scratch=$(mktemp -d)
log=$scratch/log
undo=()

cleanup() {
    local step
    jobs -p | xargs -r kill
    for step in "${undo[@]}"; do eval "$step"; done
    rm -rf -- "$scratch"
}
trap cleanup EXIT

say() { printf 'modeldb: %s\n' "$*" >&2; }
die() {
    printf 'modeldb: error: %s\n' "$@" >&2
    exit 1
}

# Tells now and then how far a command is that writes to the log.
tell_progress() {
    local begin=$SECONDS
    trap 'kill "$!"; exit' TERM
    while true; do
        sleep 10 &
        wait "$!"
        say "... $((SECONDS - begin)) s: $(tail -n1 "$log" | cut -c1-100)"
    done
}

# quietly COMMAND...: its output goes to a log, which is shown when it fails.
quietly() {
    local ticker status=0
    : >"$log"
    tell_progress >&2 9>&- & # keeps neither the caller's pipe nor the lock open
    ticker=$!
    "$@" </dev/null >"$log" 2>&1 || status=$?
    kill "$ticker"
    wait "$ticker" 2>/dev/null || true
    if ((status)); then
        cat "$log" >&2
        say "exit code $status from: $*"
    fi
    return "$status"
}

# --- what is there -------------------------------------------------------------------------------------------------

# The version numbers of Debian's installed servers, newest first.
server_versions() {
    local program
    for program in "$pg_base"/*/bin/postgres; do
        if [[ -x $program ]]; then program=${program%/bin/postgres} && echo "${program##*/}"; fi
    done | sort -rn
}

# The path of PL/Python's library in the server that modeldb will use; nothing when there is none.
plpython() {
    local version
    if [[ -n ${MODELDB_PG_BINDIR:-} ]]; then
        find "$MODELDB_PG_BINDIR/../lib" -name plpython3.so -print -quit
        return
    fi
    for version in $(server_versions); do
        if [[ -e $pg_base/$version/lib/plpython3.so ]]; then
            echo "$pg_base/$version/lib/plpython3.so"
            return
        fi
    done
}

# "3.11" for a library that is linked with libpython3.11.so.1.0
python_of() { ldd "$1" | sed -nE 's/^\s*libpython(3\.[0-9]+).*/\1/p'; }

has_venv() { "/usr/bin/python$1" -c 'import ensurepip, venv' 2>/dev/null; }

has_openmp() { compgen -G '/usr/lib/*/libgomp.so.1' >/dev/null; }

# What modeldb cannot do without and this machine does not have, one thing a line, in words.
missing() {
    local library
    library=$(plpython)
    if [[ -z $library ]]; then
        [[ -n $(server_versions) ]] || echo "the PostgreSQL server"
        echo "PL/Python"
        echo "pg_cron where the distribution has it"
    fi
    if [[ -z $library ]] || ! has_venv "$(python_of "$library")"; then echo "Python's venv module"; fi
    has_openmp || echo "the OpenMP library (for LightGBM)"
}

# --- system packages -----------------------------------------------------------------------------------------------

available() { [[ $(apt-cache policy "$1" 2>/dev/null) == *'Candidate: '[0-9]* ]]; }

depends_on() { apt-cache depends "$1" 2>/dev/null | sed -nE "s/^ *Depends: ($2)\$/\1/p"; }

# The major version to install: the newest one here that apt has PL/Python for, otherwise the distribution's default.
version_to_install() {
    local version
    for version in $(server_versions); do
        if available "postgresql-plpython3-$version"; then
            echo "$version"
            return
        fi
    done
    depends_on postgresql 'postgresql-[0-9]+' | grep -oE '[0-9]+$'
}

# The packages that bring what is missing, one a line; fails when apt does not know them (yet).
packages() {
    local library version python installed pin=''
    library=$(plpython)
    if [[ -n $library ]]; then
        python=$(python_of "$library")
    else
        version=$(version_to_install) || return
        python=$(depends_on "postgresql-plpython3-$version" 'libpython3\.[0-9]+(t64)?' | grep -oE '3\.[0-9]+') || return
        # PL/Python depends on the server of exactly its own version: take the one that leaves the server as it is.
        installed=$(dpkg-query -W -f='${Version}' "postgresql-$version" 2>/dev/null || true)
        if [[ -n $installed && $(apt-cache madison "postgresql-plpython3-$version") == *" $installed "* ]]; then
            pin="=$installed"
        fi
        [[ -n $installed ]] || echo "postgresql-$version"
        echo "postgresql-plpython3-$version$pin"
        if available "postgresql-$version-cron"; then echo "postgresql-$version-cron"; fi
    fi
    has_venv "$python" || echo "python$python-venv"
    has_openmp || echo "libgomp1"
}

# Debian's package makes a cluster that listens on TCP 5432 and starts it at every boot; modeldb has its own.
without_main_cluster() {
    local folder=/etc/postgresql-common/createcluster.d
    if [[ ! -d $folder ]]; then
        mkdir -p "$folder"
        undo=("rmdir --ignore-fail-on-non-empty $folder" "${undo[@]}")
    fi
    undo=("rm -f $folder/modeldb-setup.conf" "${undo[@]}")
    echo 'create_main_cluster = false' >"$folder/modeldb-setup.conf"
}

# Refuses what would replace, and so restart, a server that is running.
leave_running_servers_alone() {
    local upgraded package version
    upgraded=$(apt-get install -s --no-install-recommends "$@" | sed -nE 's/^Inst (postgresql-[0-9]+) \[.*/\1/p') ||
        die "apt cannot install $*."
    for package in $upgraded; do
        version=${package#postgresql-}
        if grep -qzsx "$pg_base/$version/bin/postgres" /proc/[0-9]*/cmdline; then
            die "PL/Python for PostgreSQL $version needs an upgrade of that server, which is running now." \
                "When it may be restarted, run as root: apt-get install $*"
        fi
    done
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
    quietly apt-get install -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

apt_update() { quietly apt-get update -q -o DPkg::Lock::Timeout=300; }

become_root() {
    if ! command -v sudo >/dev/null; then
        die "this needs root, and there is no sudo here." "Run as root: $root/docker/setup.sh system"
    fi
    say "sudo may ask for your password."
    sudo bash "$root/docker/setup.sh" system --told ||
        die "could not install. Run as root: $root/docker/setup.sh system"
}

system() {
    local lacking wanted
    lacking=$(missing)
    [[ -n $lacking ]] || return 0
    if [[ ${1:-} != --told ]]; then
        say "installing with apt what is missing on this machine: $(paste -sd, <<<"$lacking" | sed 's/,/, /g')."
    fi
    if ! command -v apt-get >/dev/null; then
        die "this is neither Debian nor Ubuntu: install these yourself, and set MODELDB_PG_BINDIR to the folder of initdb."
    fi
    if ((EUID)); then
        become_root
        return
    fi
    wanted=$(packages) || { apt_update && wanted=$(packages); } ||
        die "apt offers no PL/Python for PostgreSQL. On Ubuntu, enable the component universe."
    mapfile -t wanted <<<"$wanted"
    leave_running_servers_alone "${wanted[@]}"
    [[ -n $(server_versions) ]] || without_main_cluster
    say "apt-get install ${wanted[*]} (about a minute)"
    apt_install "${wanted[@]}" ||
        { say "trying again with fresh package lists" && apt_update && apt_install "${wanted[@]}"; } ||
        die "apt could not install ${wanted[*]}."
    [[ -z $(missing) ]] || die "apt finished, but this is still missing: $(missing)"
}

# --- the environment -----------------------------------------------------------------------------------------------

# Shows pip's own progress bars on a terminal, otherwise a line now and then.
pip_install() {
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 PIP_USER=0
    unset PYTHONPATH PYTHONHOME
    local pip=("$env_dir/bin/python" -m pip install)
    if [[ -t 2 ]]; then
        "${pip[@]}" "$@" >&2 || die "pip could not install modeldb; what it printed is above."
    else
        quietly "${pip[@]}" --progress-bar off "$@" || die "pip could not install modeldb; what it printed is above."
    fi
}

content_hash() {
    (
        cd "$root"
        find pyproject.toml README.md modeldb sql migrations -type f ! -name '*.pyc' -print0 |
            sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
    )
}

make_venv() {
    local python=/usr/bin/python$1
    say "making an environment of $python in $env_dir"
    rm -rf -- "$env_dir"
    mkdir -p "$env_dir"
    env -u PYTHONPATH -u PYTHONHOME "$python" -m venv "$env_dir"
}

# The server of a private cluster that root starts runs as the OS user postgres.
check_readable() {
    ((EUID == 0)) && id postgres >/dev/null 2>&1 || return 0
    (cd / && runuser -u postgres -- test -x "$env_dir/bin") ||
        die "the OS user postgres cannot reach $env_dir." \
            "Set MODELDB_HOME to a folder that is not below a private one, such as /var/lib/modeldb."
}

default_home() {
    if ((EUID)); then echo "${XDG_DATA_HOME:-$HOME/.local/share}/modeldb"; else echo /var/lib/modeldb; fi
}

# One setup at a time works on an environment.
lock() {
    mkdir -p "$(dirname "$1")"
    exec 9>"$1"
    flock -n 9 || { say "waiting for another setup of this environment" && flock 9; }
}

environment_folder() {
    local home=${MODELDB_HOME:-$(default_home)}
    realpath -m "${MODELDB_ENV:-$home/env/$(sha256sum <<<"$root" | cut -c1-12)}"
}

environment() {
    local extras=${1:-} library version dependencies content
    library=$(plpython)
    [[ -n $library ]] || die "there is no PL/Python here. Run: $root/docker/setup.sh system"
    version=$(python_of "$library")
    env_dir=$(environment_folder)
    lock "$env_dir.lock"
    dependencies=$( (cat "$root/pyproject.toml" && echo "$extras $version") | sha256sum | cut -d' ' -f1)
    content=$(content_hash)
    if ! "$env_dir/bin/python$version" -c 'import pip' 2>/dev/null; then make_venv "$version"; fi
    if [[ $(cat "$env_dir/dependencies" 2>/dev/null) != "$dependencies" ]]; then
        say "installing modeldb and the libraries that it needs into $env_dir (a few minutes)"
        rm -f "$env_dir/dependencies" "$env_dir/content"
        pip_install "$root${extras:+[$extras]}"
        echo "$dependencies" >"$env_dir/dependencies"
        echo "$content" >"$env_dir/content"
    elif [[ $(cat "$env_dir/content" 2>/dev/null) != "$content" ]]; then
        say "installing the changed modeldb into $env_dir"
        rm -f "$env_dir/content"
        pip_install --no-deps --force-reinstall "$root"
        echo "$content" >"$env_dir/content"
    fi
    check_readable
    echo "$env_dir/bin/python"
}

case ${1:-} in
    system) system "${2:-}" ;;
    env) environment "${2:-}" ;;
    clean) rm -rf -- "$(environment_folder)" "$(environment_folder).lock" ;;
    *) sed -nE '2,/^[^#]/s/^# ?//p' "${BASH_SOURCE[0]}" && exit 2 ;;
esac
