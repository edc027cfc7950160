"""`weft doctor`: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from weft_server.packages import absent_packages, install_command, unusable_classes
from weft_server.terminal import say
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.keys import home

__all__ = ["Finding", "add_parser", "examine"]

NEEDED = ("numpy", "pyzmq", "msgpack", "torch", "numba", "scipy", "pillow", "xatlas", "rich")
OPTIONAL = {"OpenEXR": "reads depth maps from .exr", "zstandard": "reads .spz files of version 4"}
NETWORKS = {
    "diffusers": "models with trained weights",
    "transformers": "their text encoders",
    "safetensors": "their files",
    "accelerate": "loads them",
    "peft": "LoRA",
}
FREE = 2 << 30  # bytes of disk that are comfortable


@dataclass(frozen=True, slots=True)
class Finding:
    """`state`: "good", "bad" (needed, and the exit status says so) or "absent" (would be nice)."""

    state: str
    subject: str
    found: str
    remedy: str = ""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="look for what is missing", description=__doc__)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    marks = {"good": "ok     ", "bad": "MISSING", "absent": "-      "}
    bad = 0
    for finding in examine():
        bad += finding.state == "bad"
        remedy = f"  → {finding.remedy}" if finding.remedy else ""
        say(f"{marks[finding.state]} {finding.subject:12} {finding.found}{remedy}")
    say(f"{bad} thing{'s' * (bad != 1)} to mend" if bad else "everything needed is there")
    return 1 if bad else 0


def examine() -> Iterator[Finding]:
    """All findings, the needed ones first."""
    good = sys.version_info >= (3, 11)
    yield Finding("good" if good else "bad", "python", platform.python_version(), "" if good else "install Python 3.11")
    for name in NEEDED:
        yield _package(name, needed=True)
    yield _home()
    yield _disk()
    yield from _back_ends()
    for name, use in OPTIONAL.items():
        finding = _package(name, needed=False)
        yield replace(finding, found=f"{finding.found} ({use})")
    yield from _networks()
    yield _models()
    yield _server()


def _package(name: str, *, needed: bool) -> Finding:
    try:
        return Finding("good", name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        remedy = f"{sys.executable} -m pip install 'weft[server]'" if needed else f"pip install {name}"
        return Finding("bad" if needed else "absent", name, "not installed", remedy)


def _home() -> Finding:
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return Finding("good", "home", f"{folder} (writable)")
    except OSError as error:
        return Finding("bad", "home", f"{folder}: {error.strerror}", "export WEFT_HOME=/a/folder/of/yours")


def _disk() -> Finding:
    folder = home()
    free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free > FREE:
        return Finding("good", "disk", text)
    return Finding("bad", "disk", text, "make room, or export WEFT_HOME=/a/larger/disk/weft")


def _back_ends() -> Iterator[Finding]:
    """What computes: the CPU always, CUDA and its rasterisers where they are."""
    if importlib.util.find_spec("torch"):
        yield _cuda()
    yield _package("gsplat", needed=False)
    found = importlib.util.find_spec("nvdiffrast") is not None
    remedy = "" if found else "pip install git+https://github.com/NVlabs/nvdiffrast (CUDA only; numba does its work)"
    yield Finding("good" if found else "absent", "nvdiffrast", "installed" if found else "not installed", remedy)


def _cuda() -> Finding:
    """Asked in a process of its own: a broken driver may take the asker along."""
    code = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"
    try:
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError):
        return Finding("bad", "torch", "cannot be imported", f"{sys.executable} -m pip install --force-reinstall torch")
    name = answer.stdout.strip()
    if name:
        return Finding("good", "cuda", name)
    return Finding("absent", "cuda", f"none: {os.cpu_count()} CPU cores compute")


def _networks() -> Iterator[Finding]:
    """The packages behind models with trained weights, and whether what they export can be used."""
    for name, use in NETWORKS.items():
        finding = _package(name, needed=False)
        remedy = install_command() if finding.state == "absent" else ""
        yield replace(finding, found=f"{finding.found} ({use})", remedy=remedy)
    if absent_packages():
        return
    try:
        unusable = unusable_classes()
    except (subprocess.SubprocessError, OSError):
        yield Finding("bad", "networks", "diffusers or transformers cannot be imported", f"{install_command()} -U")
        return
    if unusable:
        yield Finding("bad", "networks", f"cannot be used: {', '.join(unusable)}", f"{install_command()} -U")


def _models() -> Finding:
    from weft.models.cards import CARDS
    from weft.models.library import Library

    library = Library.from_environment()
    there = [card.name for card in CARDS.values() if library.has(card)]
    text = f"the embedded denoiser; {len(there)} of {len(CARDS)} with trained weights"
    named = f"{text} ({', '.join(there)})" if there else text
    return Finding("good", "models", named, "" if there else "`weft models` lists them; none is needed")


def _server() -> Finding:
    try:
        with Client() as client:
            device = client.welcome.capabilities.get("device", "its worker is warming up")
            return Finding("good", "server", f"Weft {client.welcome.server} answers ({device})")
    except WireError as error:
        state = "absent" if error.code == "server_absent" else "bad"
        return Finding(state, "server", error.message, error.hint)
