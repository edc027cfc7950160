"""The whole path with nothing left out: a .blend file, the script, `weft serve`, the real task, a saved file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.blender

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "blender_texture.py"
QUICK = ["--size", "64", "--steps", "4", "--views", "6", "--texture-size", "256", "--no-decals"]


@pytest.fixture
def scene_file(bpy: Any, tmp_path: Path) -> Path:
    """Suzanne, stretched and subdivided, and a cube without UVs; both selected."""
    bpy.ops.mesh.primitive_cube_add(location=(3, 0, 0))
    cube = bpy.context.object
    cube.data.uv_layers.remove(cube.data.uv_layers[0])
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    obj.scale = (1, -1.5, 1)
    obj.modifiers.new("Subdivision", "SUBSURF")
    cube.select_set(True)
    path = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def run_script(server: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WEFT_HOME": str(server.home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)


def pixels_of(image: Any) -> np.ndarray:
    flat = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(flat)
    return flat.reshape(image.size[1], image.size[0], 4)[..., :3]


def test_script_textures_a_file(bpy: Any, server: Any, scene_file: Path) -> None:
    before = hashlib.sha256(scene_file.read_bytes()).digest()
    done = run_script(server, str(scene_file), "--prompt", "mossy stone", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "material:" in done.stdout
    assert hashlib.sha256(scene_file.read_bytes()).digest() == before
    out = scene_file.with_name("scene_weft.blend")
    bpy.ops.wm.open_mainfile(filepath=str(out))
    for name in ("Suzanne", "Cube"):
        image = bpy.data.images[f"Weft {name}"]
        assert tuple(image.size) == (256, 256)
        assert image.packed_file is not None
        assert pixels_of(image).std(axis=(0, 1)).min() > 0.01, "a material, not a plain colour"
        assert bpy.data.objects[name].material_slots[0].material.name == image.name
    assert [layer.name for layer in bpy.data.objects["Cube"].data.uv_layers] == ["Weft"]
    assert "weft_job" not in bpy.context.scene


def test_same_seed_same_texture(bpy: Any, server: Any, scene_file: Path, tmp_path: Path) -> None:
    pictures = []
    for name in ("a.blend", "b.blend"):
        options = ["--prompt", "bricks", "--objects", "Suzanne", "--seed", "5", "--out", str(tmp_path / name)]
        done = run_script(server, str(scene_file), *options, *QUICK)
        assert done.returncode == 0, done.stdout + done.stderr
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / name))
        pictures.append(pixels_of(bpy.data.images["Weft Suzanne"]))
    np.testing.assert_array_equal(*pictures)


def test_reference_image_gives_the_colours(bpy: Any, server: Any, scene_file: Path, tmp_path: Path) -> None:
    from weft_blender.pixels import encode_png

    rng = np.random.default_rng(0)
    red = np.stack([rng.integers(150, 250, (96, 96)), *rng.integers(0, 60, (2, 96, 96))], axis=-1).astype(np.uint8)
    (tmp_path / "red.png").write_bytes(encode_png(red))
    options = ["--exemplar", str(tmp_path / "red.png"), "--objects", "Suzanne", "--out", str(tmp_path / "red.blend")]
    done = run_script(server, str(scene_file), *options, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "red.blend"))
    mean = pixels_of(bpy.data.images["Weft Suzanne"]).mean(axis=(0, 1))
    assert mean[0] > 2 * mean[1:].max()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["absent.blend", "--prompt", "stone"], "there is no file 'absent.blend'"),
        (["SCENE", "--prompt", "stone", "--objects", "Nobody"], "there is no object 'Nobody' (meshes: "),
        (["SCENE"], "neither a prompt nor a reference image"),
        (["SCENE", "--prompt", "stone", "--size", "100000"], "size must be 0 or between 64 and 1024 px, not 100000"),
        (["SCENE", "--exemplar", "absent.png"], "there is no reference image 'absent.png'"),
        (["SCENE", "--prompt", "stone", "--server", "no address!"], "'no address!' is no server address"),
    ],
)
def test_bad_calls_end_with_one_line(server: Any, scene_file: Path, arguments: list[str], part: str) -> None:
    done = run_script(server, *(str(scene_file) if argument == "SCENE" else argument for argument in arguments))
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stdout + done.stderr
    assert part in lines[0]
    assert "Traceback" not in done.stderr
    assert not scene_file.with_name("scene_weft.blend").exists()
