"""The packages that the add-on brings along: pyzmq, msgpack and Weft's own client.

As an extension (Blender ≥ 4.2) Blender installs the wheels itself, and in a checkout the environment has them. As a
classic add-on (3.4 to 4.1) they are unpacked once into the user's data folder; nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import bpy

__all__ = ["ensure_importable", "wheel_fits"]

NEEDED = ("zmq", "msgpack", "weft_wire")


def ensure_importable() -> None:
    """Make NEEDED importable. Raises ImportError with the remedy when the bundle has no wheel for this Blender."""
    if sys.version_info < (3, 11):  # noqa: UP036 (official Blender 3.4 to 4.0 has 3.10)
        version = ".".join(map(str, sys.version_info[:2]))
        raise ImportError(f"Weft needs Python 3.11, this Blender has {version}: use Blender 4.1 or newer")
    if importlib.util.find_spec("numpy") is None:
        raise ImportError("Weft needs NumPy, which this Blender lacks: install your system's python3-numpy package")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    wheels = sorted(path for path in (Path(__file__).parent / "wheels").glob("*.whl") if wheel_fits(path.name))
    folder = unpack(wheels)
    # At the end: what Blender or another add-on already provides keeps its place.
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        raise ImportError(f"Weft has no {', '.join(missing)} for {here}: get the zip built for all platforms")


def unpack(wheels: Sequence[Path]) -> Path:
    """The folder with the contents of `wheels`, filled at the first call and never changed afterwards.

    Each set of wheels has a folder of its own: on Windows a loaded library cannot be replaced.
    """
    names = "\n".join([sys.version, *(f"{wheel.name} {wheel.stat().st_size}" for wheel in wheels)])
    parent = Path(bpy.utils.user_resource("DATAFILES", path="weft", create=True))
    folder = parent / hashlib.sha256(names.encode()).hexdigest()[:16]
    if not folder.exists():
        partial = parent / f"{folder.name}.{os.getpid()}"
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(partial)
        try:
            os.replace(partial, folder)
        except OSError:  # another Blender was faster
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def wheel_fits(name: str, version: tuple[int, int] = sys.version_info[:2], machine: str = "") -> bool:
    """Whether the wheel called `name` runs on Python `version` and this operating system and processor."""
    python, abi, platforms = name.removesuffix(".whl").split("-")[-3:]
    if platforms == "any":
        return True
    minor = int(python.removeprefix("cp3")) if python.startswith("cp3") else -1
    if not (version[1] == minor or (abi == "abi3" and 0 <= minor <= version[1])):
        return False
    machine = machine or f"{sys.platform}-{platform.machine().lower()}"
    tags = {
        "linux-x86_64": ("manylinux", "x86_64"),
        "win32-amd64": ("win", "amd64"),
        "darwin-arm64": ("macosx", ("arm64", "universal2")),
        "darwin-x86_64": ("macosx", ("x86_64", "universal2")),
    }
    system, processor = tags.get(machine, ("none", "none"))
    return any(tag.startswith(system) and tag.endswith(processor) for tag in platforms.split("."))
