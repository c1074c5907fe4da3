"""What docker/entrypoint.sh writes, with stand-ins for the server's programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "docker" / "entrypoint.sh"
INITDB = """#!/bin/sh
mkdir -p "$2" && echo 15 >"$2/PG_VERSION" && touch "$2/postgresql.conf"
echo "host all all all trust" >"$2/pg_hba.conf"
"""
START = """
source <(sed '/^trap /,$d' "$1")  # its functions, without what it does
data=$2/data programs=$2/bin MODELDB_PASSWORD=x
[[ -s $data/PG_VERSION ]] || make_data
configure
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name, script in {"initdb": INITDB, "postgres": "#!/bin/sh\ncat >/dev/null\n"}.items():
        program = tmp_path / "bin" / name
        program.write_text(script)
        program.chmod(0o755)
    return tmp_path


def start(folder: Path) -> None:
    subprocess.run(["bash", "-c", START, "bash", ENTRYPOINT, folder], check=True, capture_output=True)


def test_the_first_start_lets_nobody_in_without_a_password(folder: Path) -> None:
    start(folder)
    rules = [line for line in (folder / "data/pg_hba.conf").read_text().splitlines() if not line.startswith("#")]
    assert rules[0].split() == ["local", "all", "postgres", "peer", "map=container"]
    assert {rule.split()[-1] for rule in rules[1:]} == {"scram-sha-256"}
    assert "container root postgres" in (folder / "data/pg_ident.conf").read_text().splitlines()


def test_rules_of_the_administrator_stay(folder: Path) -> None:
    start(folder)
    written = {}
    for name in ("pg_hba.conf", "pg_ident.conf"):
        file = folder / "data" / name
        written[file] = file.read_text() + "# a rule of our own\n"
        file.write_text(written[file])
    (folder / "data/modeldb.conf").write_text("lost")
    start(folder)
    assert {file: file.read_text() for file in written} == written
    assert "cron.database_name" in (folder / "data/modeldb.conf").read_text()
