"""The demo: what it leaves, that nothing outlives it, what it refuses. (scripts/demo itself adds the installation.)"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.blender,
    pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs the bpy module"),
]

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
DEMO = [sys.executable, str(SCRIPTS / "demo_blender.py")]
INSPECT = """
import json, sys
import bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
suzanne = bpy.data.objects["Suzanne"]
nodes = suzanne.material_slots[0].material.node_tree.nodes
(image,) = [node.image for node in nodes if node.type == "TEX_IMAGE"]
views = [a.spaces.active.shading.type for s in bpy.data.screens for a in s.areas if a.type == "VIEW_3D"]
print("FOUND", json.dumps([list(image.size), image.packed_file is not None, views]))
"""


def test_what_it_leaves(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--size", "64", "--steps", "4"], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "contact_sheet.png", "demo.blend", "report.json", "texture.png", "turntable.gif",
    ]  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    check_report(report)
    assert f"{report['seconds']['total']:.1f} s" in done.stdout
    assert report["machine"] in done.stdout
    with Image.open(out / "texture.png") as texture, Image.open(out / "turntable.gif") as turntable:
        assert texture.size == (1024, 1024)
        assert np.asarray(texture).std(axis=(0, 1)).min() > 5
        assert getattr(turntable, "n_frames", 1) > 8
    command = [sys.executable, "-c", INSPECT, str(out / "demo.blend")]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    size, packed, views = json.loads(seen.rpartition("FOUND")[2])
    assert (size, packed) == ([1024, 1024], True)
    assert set(views) == {"MATERIAL"}


def check_report(report: dict[str, Any]) -> None:
    """Every number that the issue of the demo is about is there, and possible."""
    assert report["triangles"] == 15744
    info, seconds = report["server"], report["seconds"]
    assert 0 < seconds["export"] < seconds["first_preview"] < seconds["total"]
    assert {"views", "decals", "report", "total"} <= set(info["seconds"])
    assert 0.9 < info["coverage"] <= 1
    assert info["unfilled"] == 0
    assert info["peak_memory_mb"] > 100
    for name in ("rerender_psnr", "view_psnr", "pairwise_psnr", "sharpness", "seam_energy"):
        assert np.isfinite(info[name]), name


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nothing_outlives_it(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """Stopped in mid-job it ends at once, with its server and the server's folder."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        DEMO, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "views" not in (line := process.stdout.readline()):
        assert line, "it ended too soon"
    (pairing,) = tmp_path.glob("weft-demo-*/server.json")
    server = json.loads(pairing.read_text())["pid"]
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in said
    assert said.count("demo: stopped") == (number == signal.SIGINT)
    deadline = time.monotonic() + 20
    while alive(server):
        assert time.monotonic() < deadline, "the server outlives the demo"
        time.sleep(0.05)
    assert not list(tmp_path.glob("weft-demo-*"))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--mesh", "absent.obj"], "there is no mesh file 'absent.obj' (check the path)"),
        (["--mesh", "notes.txt"], "'notes.txt' is not a mesh file (give one of .glb, .gltf, .obj, .ply, .stl)"),
        (["--mesh", "empty.obj"], "'empty.obj' holds no mesh"),
        (["--size", "63"], "size must be 0 or between 64 and 1024 px, not 63"),
        (["--size", "100000"], "size must be 0 or between 64 and 1024 px, not 100000"),
        (["--exemplar", "notes.txt"], "notes.txt' cannot be read (choose a PNG, JPEG, EXR or HDR file)"),
        (["--prompt", ""], "neither a prompt nor a reference image"),
        (["--out", "notes.txt/below"], "notes.txt/below: Not a directory (choose another folder with --out)"),
    ],
)
def test_demo_refuses_in_one_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture, no mesh")
    (tmp_path / "empty.obj").write_text("# nothing\n")
    done = subprocess.run([*DEMO, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    said = [text for text in done.stderr.splitlines() if text.startswith("demo: ")]
    assert len(said) == 1, done.stderr
    assert line in said[0]
    assert "Traceback" not in done.stderr
    assert "server: starting" not in done.stdout
