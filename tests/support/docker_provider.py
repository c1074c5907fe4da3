"""The docker provider of the tests: the image of docker/, built and run by testcontainers."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker.errors import BuildError, DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.image import DockerImage

ROOT = Path(__file__).parents[2]
TAG = "modeldb:test"
PORT = 5432
START_SECONDS = 120
LOCAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")  # Debian's place for a machine's own
BUILD_ARGUMENTS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")


@contextmanager
def docker_server() -> Iterator[str]:
    """Build docker/ and run it; the superuser's SQLAlchemy URL of its database modeldb.

    Raises RuntimeError when no docker engine answers, the image cannot be built, or modeldb does not get ready.
    """
    testcontainers_config.ryuk_disabled = True  # its image comes from a registry; the container is removed below
    _require_engine()
    _build()
    password = secrets.token_hex()
    container = DockerContainer(TAG).with_env("MODELDB_PASSWORD", password).with_exposed_ports(PORT)
    container.with_kwargs(shm_size="256m", auto_remove=True)
    with container:
        _wait_until_ready(container)
        host, port = container.get_container_host_ip(), container.get_exposed_port(PORT)
        yield f"postgresql+psycopg://postgres:{password}@{host}:{port}/modeldb"


def _require_engine() -> None:
    try:
        DockerClient().client.ping()
    except DockerException as error:
        raise RuntimeError(
            f"No docker engine answers, so tests with the docker provider cannot run: {error}"
        ) from error


def _build() -> None:
    """Build the image, whose layers docker keeps, and remove the one that it replaces."""
    images = DockerClient().client.images
    try:
        replaced = images.get(TAG).id
    except ImageNotFound:
        replaced = None
    image = DockerImage(
        ROOT, tag=TAG, dockerfile_path="docker/Dockerfile", clean_up=False, buildargs=_build_arguments(), rm=True
    )
    try:
        built = image.build().get_wrapped_image().id
    except BuildError as error:
        output = "".join(str(line.get("stream", "")) for line in error.build_log)
        raise RuntimeError(f"docker/Dockerfile cannot be built: {error.msg}\n{output[-4000:]}") from error
    except DockerException as error:
        hint = "Where no image registry can be reached, docker/base-image.sh makes the base image."
        raise RuntimeError(f"docker/Dockerfile cannot be built: {error}\n{hint}") from error
    if replaced and replaced != built:
        images.remove(replaced, force=True)


def _build_arguments() -> dict[str, str]:
    """How this machine reaches a package index, for the stage of the build that does."""
    arguments = {name: os.environ[name] for name in BUILD_ARGUMENTS if name in os.environ}
    authorities = [file.read_text() for file in sorted(LOCAL_AUTHORITIES.glob("*.crt"))]
    return arguments | ({"CA_CERTIFICATES": "\n".join(authorities)} if authorities else {})


def _wait_until_ready(container: DockerContainer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        wrapped = container.get_wrapped_container()
        try:
            checked = container.exec("healthcheck.sh")
        except DockerException as error:
            raise RuntimeError(f"The container ended before modeldb was ready: {error}") from error
        if checked.exit_code == 0:
            return
        if time.monotonic() > deadline:
            logs = wrapped.logs(tail=30).decode(errors="replace")
            check = checked.output.decode(errors="replace")
            raise RuntimeError(f"modeldb in docker was not ready in {START_SECONDS} s: {check}\n{logs}")
        time.sleep(0.3)
