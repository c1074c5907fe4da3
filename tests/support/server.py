"""The server that the tests talk to: MODELDB_TEST_PROVIDER says which."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from modeldb.cluster import Cluster

Provider = Callable[[], AbstractContextManager[str]]


@contextmanager
def local() -> Iterator[str]:
    """A throw-away private cluster."""
    with Cluster.temporary() as cluster:
        yield cluster.url("postgres")


@contextmanager
def docker() -> Iterator[str]:
    """A container of docker/."""
    from support.docker_provider import docker_server

    with docker_server() as url:
        yield url


@contextmanager
def given() -> Iterator[str]:
    """The server of MODELDB_TEST_URL, a superuser's; databases named modeldb_test_* come and go in it."""
    yield os.environ["MODELDB_TEST_URL"]


PROVIDERS: dict[str, Provider] = {"local": local, "docker": docker, "url": given}


def provider() -> Provider:
    name = os.environ.get("MODELDB_TEST_PROVIDER", "local")
    if name not in PROVIDERS:
        raise RuntimeError(f"MODELDB_TEST_PROVIDER is {name!r}, it must be one of {', '.join(PROVIDERS)}")
    return PROVIDERS[name]


def plain(url: str) -> str:
    """A URL as psycopg takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def in_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return re.sub(r"(//[^/]*)/[^?]*", rf"\1/{name}", plain(url), count=1)


def server_path(url: str) -> list[str]:
    """Where the server has its own modeldb, if a database of it was installed already; empty: this environment."""
    with psycopg.connect(plain(url)) as connection:
        row = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = '_python' LIMIT 1").fetchone()
    found = re.search(r"for path in (\[.*?\])", row[0]) if row else None
    return [] if found is None else list(ast.literal_eval(found[1]))
