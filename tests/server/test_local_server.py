"""A server for the time of one command: found by nobody else, and gone without a trace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from weft_server.local import local_server
from weft_wire.keys import read_pairing


def test_a_server_for_one_command_leaves_no_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else finds it, so nobody loses a job when it ends; and what it left undone is not done later."""
    monkeypatch.setenv("WEFT_HOME", str(tmp_path))
    left, recent = tmp_path / "once-left", tmp_path / "once-recent"
    for folder, age in ((left, 8), (recent, 6)):
        folder.mkdir()
        then = time.time() - 86400 * age
        os.utime(folder, (then, then))
    with local_server() as client, client:
        assert client.jobs() == []
        assert read_pairing(tmp_path) is None
        with local_server() as second, second:
            assert second.welcome.epoch != client.welcome.epoch
    assert {path.name for path in tmp_path.iterdir()} == {"once-recent", "server.log"}
