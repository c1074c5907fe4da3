"""The client of service.py: one connection that is kept alive, by the standard library, the leanest that Python has."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import orjson

SERVICE = Path(__file__).with_name("service.py")
HEADERS = {"Content-Type": "application/json"}


class Client:
    """Asks for scores. A session of requests takes more than twice as long for the same call."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)

    def score(self, features: list[float]) -> float:
        """The score of one row. Raises RuntimeError where the service fails."""
        self._connection.request("POST", "/score", orjson.dumps({"features": features}), HEADERS)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"the service answered {response.status}: {content.decode()}")
        return orjson.loads(content)["score"]

    def close(self) -> None:
        self._connection.close()


@contextmanager
def served(artifact: bytes) -> Iterator[Client]:
    """A client of a service that is started for it, and stopped at the end."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(artifact)
        command = [sys.executable, str(SERVICE), str(model)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                client = Client(int(process.stdout.readline()))
                yield client
                client.close()
            finally:
                process.terminate()
