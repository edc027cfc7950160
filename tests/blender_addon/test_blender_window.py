"""Blender 3.4 in its real window: the tab is drawn, the button pressed with the mouse, the texture arrives.

Leaves the pictures panel.png, panels.png (all tasks), forming.png, done.png and report.json in artifacts/window*, and
prints how long the add-on held Blender's main thread. Drawing itself runs on the processor here, and takes far longer
than all we do.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.window

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PROGRAMS = {"blender": "blender", "xvfb-run": "xvfb", "xdotool": "xdotool", "import": "imagemagick"}


@pytest.fixture(scope="module")
def archive(request: pytest.FixtureRequest) -> Path:
    """As in conftest.py, where there are the programs for a window."""
    absent = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if absent:
        pytest.skip(f"the window test needs: apt-get install {' '.join(absent)}")
    return request.getfixturevalue("archive")


def run_window(
    name: str, archive: Path, home: Path, folder: Path, script: str = "window_session.py", **wishes: str
) -> dict[str, Any]:
    """Play a session in Blender's window; its report."""
    out = ROOT / "artifacts" / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    spec = importlib.util.find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    for source in (Path(spec.origin).parent, Path(spec.origin).parents[1] / "numpy.libs"):
        (folder / source.name).symlink_to(source)
    places = {f"BLENDER_USER_{part}": str(folder / part.lower()) for part in ("SCRIPTS", "CONFIG", "DATAFILES")}
    environment = {
        **{key: value for key, value in os.environ.items() if key != "DISPLAY"},
        **places,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "WEFT_HOME": str(home),
        "WEFT_ZIP": str(archive),
        "WEFT_OUT": str(out),
        "WEFT_NUMPY": str(folder),
        **wishes,
    }
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1400x900x24"]
    blender = ["blender", "--factory-startup", "--window-geometry", "0", "0", "1400", "900"]
    command = [*screen, *blender, "-P", str(HERE / script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=560, env=environment)
    assert (out / "report.json").exists(), done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    assert not report["error"], report["error"]
    return report


def make_splats() -> bytes:
    """A file of a thousand random splats."""
    names = [*"xyz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
    names += [f"rot_{i}" for i in range(4)]
    properties = "".join(f"property float {name}\n" for name in names)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex 1000\n{properties}end_header\n"
    return header.encode() + np.random.default_rng(1).normal(size=(1000, len(names))).astype("<f4").tobytes()


def check(report: dict[str, Any]) -> None:
    assert report["state"] == "applied"
    assert report["pressed_with_mouse"]
    assert report["material"] == "Weft Suzanne"
    assert "Weft Suzanne" not in report["after_undo"], "one undo step takes the texture off"
    assert report["after_redo"] == ["Weft Suzanne"]


def stall(report: dict[str, Any]) -> str:
    clock, computing = report["longest_pump_ms"], report["longest_pump_cpu_ms"]
    return f"longest main-thread stall {clock:.1f} ms (computing {computing:.1f} ms)"


@pytest.mark.timeout(900)
def test_texture_in_the_window(archive: Path, server: Any, tmp_path: Path) -> None:
    report = run_window(
        "window", archive, server.home, tmp_path, WEFT_PROMPT="mossy stone", WEFT_STEPS="10", WEFT_SIZE="128"
    )
    check(report)
    print(
        f"\nwindow, real texture: first preview {report['seconds']['first_preview']:.1f} s, "
        f"done {report['seconds']['total']:.1f} s, {stall(report)}"
    )


@pytest.mark.timeout(900)
def test_streaming_large_previews(archive: Path, practice: Any, tmp_path: Path) -> None:
    """Ten previews of 1024² a second, more than any task sends; then every other task once."""
    splats = tmp_path / "splats.ply"
    splats.write_bytes(make_splats())
    wishes = {"WEFT_PROMPT": "stream", "WEFT_STEPS": "60", "WEFT_SIZE": "64", "WEFT_TOUR": str(splats)}
    report = run_window("window_stream", archive, practice.home, tmp_path, **wishes)
    check(report)
    tasks = {"texture", "retexture", "panorama", "illusion", "splat_texture", "relight", "stylize", "move"}
    tasks |= {"edit_panorama", "edit_video", "fit", "edit_scene"}
    assert set(report["panels"]) == tasks
    assert report["tour"] == dict.fromkeys(tasks, "applied")
    assert (report["worn"], report["world"]) == ("stylize", "Weft Panorama")
    assert report["splats"] == "Weft splats"
    before, after = splats.read_bytes(), (ROOT / "artifacts" / "window_stream" / "splats.ply").read_bytes()
    assert len(before) == len(after)
    assert before.partition(b"end_header")[0] == after.partition(b"end_header")[0]
    assert before != after, "the colours"
    print(
        f"\nwindow, 1024² previews: {report['previews_shown']} shown, "
        f"{stall(report)}; one redraw in software takes {report['median_redraw_ms']:.0f} ms"
    )


@pytest.mark.timeout(900)
def test_models_in_the_window(archive: Path, practice: Any, tmp_path: Path) -> None:
    wishes = {"WEFT_PROMPT": "stone", "WEFT_STEPS": "4", "WEFT_SIZE": "0"}
    report = run_window("window_models", archive, practice.home, tmp_path, "window_models.py", **wishes)
    assert report["chosen"] == "sd15"
    assert report["unloading"], "the window goes on while the server answers"
    assert report["unloaded"] == "11.4 GB freed: sd15 (2), sdxl"


@pytest.mark.timeout(900)
@pytest.mark.skipif("WEFT_TEST_GALLERY" not in os.environ, reason="takes minutes: set WEFT_TEST_GALLERY=1")
def test_gallery_in_the_window(archive: Path, server: Any, tmp_path: Path) -> None:
    """Of the picture gallery.png that it leaves, docs/pictures has a part."""
    wishes = {"WEFT_PROMPT": "mossy stone", "WEFT_STEPS": "12", "WEFT_SIZE": "128", "WEFT_TEXTURE": "512"}
    report = run_window("window_gallery", archive, server.home, tmp_path, "window_gallery.py", **wishes)
    everything = [1, 2, 3, 4]
    assert [report[moment][:2] for moment in ("made", "worn", "after_undo", "after_redo")] == [
        [everything, worn] for worn in (4, 2, 4, 2)
    ]
    assert report["favourites"] == [2]
    assert report["more"][:2] == [everything, 4]
    assert report["more"][2] == report["made"][2] + 3, "variant 1 of the second gallery is number 2 of the first"


def test_a_blender_without_our_packages_says_so_in_one_line(tmp_path: Path) -> None:
    """Debian's Blender, bare: it may lack NumPy, and has neither the wheels nor a server."""
    if shutil.which("blender") is None:
        pytest.skip("this test needs: apt-get install blender")
    command = ["blender", "-b", "--factory-startup", "-P", str(ROOT / "scripts" / "blender_texture.py"), "--"]
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {
        "WEFT_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }
    done = subprocess.run([*command, "--prompt", "bricks"], capture_output=True, text=True, timeout=120, env=bare)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "blender_texture: " in done.stderr
