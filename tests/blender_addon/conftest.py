"""A fresh Blender scene per test, in this process; real server processes, shared by all tests that ask for one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "blender_addon"), str(HERE)]


class ServerProcess:
    """A server with a home of its own; `key_dir` is what a client needs to find it."""

    def __init__(self, home: Path, command: list[str]) -> None:
        self.home, self.command = home, command
        self.key_dir = str(home / "keys")
        self.environment = {**os.environ, "WEFT_HOME": str(home), "OMP_NUM_THREADS": "1"}
        self.start()

    def start(self) -> None:
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment)
        deadline = time.monotonic() + 90
        while not (self.home / "server.json").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"the server did not start:\n{(self.home / 'server.log').read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait(10)
        (self.home / "server.json").unlink(missing_ok=True)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


def server_python() -> str:
    """The interpreter that has torch: this one, or (in an environment for another Blender) that of the checkout."""
    return sys.executable if importlib.util.find_spec("torch") else str(ROOT / ".venv" / "bin" / "python")


@pytest.fixture(scope="session")
def torch_python() -> str:
    return server_python()


@pytest.fixture(scope="session")
def addon() -> Iterator[ModuleType]:
    """The registered add-on."""
    pytest.importorskip("bpy", reason="the bpy module is not installed: pip install -e '.[blender]'")
    import weft_blender

    weft_blender.register()
    yield weft_blender
    weft_blender.unregister()


@pytest.fixture
def bpy(addon: ModuleType) -> ModuleType:
    """Blender with an empty scene."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The add-on as scripts/build_extension makes it, for this platform."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / "scripts" / "build_extension"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`weft serve`."""
    home = tmp_path_factory.mktemp("weft")
    command = [server_python(), "-m", "weft_server.cli", "serve", "--port", "0", "--home", str(home)]
    process = ServerProcess(home, command)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def served(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`weft serve` with tiny models of every kind."""
    home = tmp_path_factory.mktemp("weft")
    options = ["--port", "0", "--home", str(home), "--models", str(models_folder)]
    process = ServerProcess(home, [server_python(), "-m", "weft_server.cli", "serve", *options])
    yield process
    process.stop()


@pytest.fixture(scope="session")
def _practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    home = tmp_path_factory.mktemp("weft")
    process = ServerProcess(home, [server_python(), str(HERE / "practice_addon.py"), str(home)])
    yield process
    process.stop()


@pytest.fixture
def practice(_practice: ServerProcess) -> ServerProcess:
    """A real server whose tasks are those of practice_addon.py. It runs, whatever a test did to it."""
    if _practice.process.poll() is not None:
        _practice.start()
    return _practice


@pytest.fixture
def link(addon: ModuleType, practice: ServerProcess) -> Iterator[Any]:
    """The add-on's link, connected to the practice server."""
    from weft_blender import job
    from weft_blender.link import LINK

    LINK.open("", practice.key_dir)
    job.wait_for_server(30)
    yield LINK
    job.cancel()
    job.DESK.put(None)
    LINK.close()


@pytest.fixture
def pump_until(addon: ModuleType) -> Callable[[Callable[[], bool]], None]:
    """Pump, as the timer does, until the condition holds."""
    from weft_blender import job

    def pump(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60  # the machine may be busy
        while not condition():
            assert time.monotonic() < deadline, job.DESK.job
            job.pump()
            time.sleep(0.01)

    return pump
