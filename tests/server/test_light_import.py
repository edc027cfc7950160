"""The client must load inside Blender: numpy, zmq and msgpack, nothing heavier."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"torch", "scipy", "numba", "PIL", "trimesh", "xatlas", "rich", "weft", "weft_server"}


def test_importing_the_client_leaves_the_heavy_packages_out() -> None:
    code = "import sys, weft_wire.client, weft_wire.session; print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"zmq", "msgpack", "numpy"} <= set(modules)
    assert not HEAVY & {name.partition(".")[0] for name in modules}


def test_the_command_can_be_stopped_while_it_imports() -> None:
    """Ctrl-C is met in `main`, so nothing that takes its time is imported before it."""
    code = "import sys, weft_server.cli; print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "zmq", "msgpack", "sqlite3"} & set(modules)


def test_the_front_end_never_imports_the_science() -> None:
    code = "import sys, weft_server.server; print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "scipy", "numba", "PIL", "weft"} & {name.partition(".")[0] for name in modules}
