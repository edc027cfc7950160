"""Start Local Server: a server that comes up and goes, and what is said when it does not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from weft_wire.errors import WireError

pytestmark = pytest.mark.blender


@pytest.fixture
def process(addon: ModuleType) -> Iterator[ModuleType]:
    from weft_blender import server_process
    from weft_blender.link import LINK

    yield server_process
    LINK.close()
    server_process.stop()


def program(folder: Path, text: str) -> str:
    path = folder / "weft"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the installed program is a shell script")
def test_server_comes_up_and_goes(process: ModuleType, tmp_path: Path, torch_python: str) -> None:
    from weft_blender.link import LINK
    from weft_blender.preferences import Choice

    command = program(tmp_path, f'exec "{torch_python}" -m weft_server.cli "$@"')
    choice = Choice(key_dir=str(tmp_path / "home" / "keys"), server_command=command)
    process.start(choice)
    assert process.poll(False) == "starting"
    LINK.open("", choice.key_dir)
    wait_until(lambda: bool(LINK.poll()) or LINK.connected or not process.running())
    assert LINK.connected, process.poll(False)
    assert process.poll(True) == ""
    process.stop()
    assert not process.running()
    wait_until(lambda: bool(LINK.poll()) or not LINK.connected)
    assert process.poll(False) == ""


def test_last_words_of_a_server_that_fails(process: ModuleType, tmp_path: Path) -> None:
    from weft_blender.preferences import Choice

    process.start(Choice(server_command=program(tmp_path, "echo loading; echo 'port 7720 is taken' >&2; exit 3")))
    wait_until(lambda: not process.running())
    assert process.poll(False) == "the server stopped (exit status 3): port 7720 is taken"


def test_missing_program_is_one_line(process: ModuleType, tmp_path: Path) -> None:
    from weft_blender.preferences import Choice

    with pytest.raises(WireError, match="is not a program") as caught:
        process.start(Choice(server_command=str(tmp_path / "absent")))
    assert "Preferences" in caught.value.hint


def test_missing_installation_is_one_line(process: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(process, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(WireError, match="`weft` was not found"):
        process.find_command("")
