"""What scripts/demo prints: one line for the machine, one table for the job."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["machine", "table"]

WIDTH = 38  # characters of a row's name
# Key of the server's info → what it is called, how it is written, what to compare it with.
QUALITY = {
    "coverage": ("texels seen by a camera", "{:.1%}", ""),
    "unfilled": ("texels left unfilled", "{:.0f}", ""),
    "rerender_psnr": ("re-render PSNR, last phase's views", "{:.1f} dB", "texture against what each view wanted"),
    "view_psnr": ("re-render PSNR, camera views", "{:.1f} dB", "renders against themselves denoised again"),
    "pairwise_psnr": ("pairwise view PSNR", "{:.1f} dB", "what two views say of the same point"),
    "sharpness": ("sharpness", "{:.2f}", "1 = the exemplar's"),
    "seam_energy": ("seam energy", "{:.2f}", "1 = the interior's"),
    "peak_memory_mb": ("peak memory of the worker", "{:.0f} MB", ""),
}


def machine() -> str:
    """The line that belongs to every measured number."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numba", "bpy"))
    return f"{os.cpu_count()} × {processor()}{load}, Python {platform.python_version()}, {versions}"


def processor() -> str:
    """The processor's name as its maker writes it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def table(report: dict[str, Any]) -> str:
    return "\n".join(rows(report))


def rows(report: dict[str, Any]) -> Iterator[str]:
    info = report["server"]
    material = info["material"]
    yield f"{', '.join(report['objects'])}: {report['triangles']:,} triangles, {material['name']}"
    if material["note"]:
        yield f"  {material['note']}"
    yield from (f"  note: {warning}" for warning in report["warnings"])
    yield ""
    yield from seconds(report["seconds"], info["seconds"])
    yield ""
    for key, (name, form, remark) in QUALITY.items():
        if info.get(key) is not None:
            yield row(name, form.format(info[key]), remark)
    yield ""
    yield f"  {report['machine']}"


def seconds(client: dict[str, float], server: dict[str, float]) -> Iterator[str]:
    yield row("server's start and warming up", f"{client['server_start']:.1f} s", "once; not in the total")
    yield row("export from Blender", f"{client['export']:.1f} s")
    for phase, value in server.items():
        if phase != "total":
            yield row(f"server: {phase}", f"{value:.1f} s")
    if "first_preview" in client:
        yield row("first preview on the mesh", f"{client['first_preview']:.1f} s", "after submit")
    total = client["total"]
    yield row("submit → texture in the scene", f"{total:.1f} s", f"{total - server['report']:.1f} s without the report")


def row(name: str, value: str, remark: str = "") -> str:
    return f"  {name:{WIDTH}}{value:>10}   {remark}".rstrip()
