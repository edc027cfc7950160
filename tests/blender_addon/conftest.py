"""A fresh Blender scene per test, in this process; a real server per module that asks for one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "blender_addon"))


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server process of its own: `home`, `key_dir`, `process`, and `stop()`."""
    home = tmp_path_factory.mktemp("weft")
    environment = {**os.environ, "WEFT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    log = (home / "server.log").open("wb")
    command = [sys.executable, "-m", "weft_server.cli", "serve", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    deadline = time.monotonic() + 60
    while not (home / "server.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the server did not start:\n{(home / 'server.log').read_text()}")
        time.sleep(0.05)

    def stop() -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    yield SimpleNamespace(home=home, key_dir=str(home / "keys"), process=process, stop=stop, environment=environment)
    stop()
    log.close()
