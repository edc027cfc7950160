"""What the tests of the server share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)
sys.path.append(str(Path(__file__).parents[1] / "core"))  # for its modules practice_*, and …
sys.path.insert(0, FOLDER)  # … for those beside this file, in this process …
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, os.environ.get("PYTHONPATH")]))  # … and in workers

from practice_servers import connect, practice_options  # noqa: E402

from weft_server.server import Server  # noqa: E402
from weft_wire.client import Client  # noqa: E402
from weft_wire.messages import Limits  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module."""
    limits = Limits(open_jobs=4, queued_jobs=6, job_bytes=64 << 20)
    with Server(practice_options(tmp_path_factory.mktemp("home"), limits=limits)) as running:
        yield running


@pytest.fixture
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client with a key of its own for every test, so that tests do not see each other's jobs."""
    with connect(server.options.home, f"test-{abs(hash(request.node.nodeid))}") as connected:
        yield connected
