"""Dumping and restoring with PostgreSQL's own programs, from one cluster to another."""

from __future__ import annotations

import subprocess

import psycopg
from psycopg.types.json import Jsonb

from modeldb.cluster import DATABASE, Cluster
from modeldb.programs import Programs
from support.onnx_models import described, linear


def run(program: str, *arguments: str) -> None:
    """Run a program of the server on this machine, which has to succeed."""
    done = subprocess.run([Programs.find() / program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def connect(cluster: Cluster, database: str = DATABASE) -> psycopg.Connection:
    options = "-c search_path=public,modeldb -c timezone=UTC"
    return psycopg.connect(cluster.url(database), autocommit=True, options=options)


def register_linear(connection: psycopg.Connection) -> None:
    """Versions 1 and 2 of the model m: a + b, which is the champion, and 2 a + b."""
    for weight in (1.0, 2.0):
        values = [linear(weight, 1.0), Jsonb(described("a", "b"))]
        connection.execute("SELECT register_model('m', %s, %s::jsonb)", values)
