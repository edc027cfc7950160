"""Panoramas in Blender: what surrounds the camera, the World that shows it the right way round, and the old one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import PanoramaParams

pytestmark = pytest.mark.blender

PARAMS = PanoramaParams(prompt="stone", steps=4, width=256)


def run(practice: Any, **sources: Any) -> Any:
    from weft_blender.job import run

    return run("panorama", PARAMS, key_dir=practice.key_dir, previews=True, **sources)


def add_camera(bpy: Any, rotation: tuple[float, float, float], location: tuple[float, float, float] = (0, 0, 0)) -> Any:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.rotation_euler, camera.location = rotation, location
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def rendered(bpy: Any, tmp_path: Path, width: int, height: int) -> np.ndarray:
    """f4 [height, width, 3], what the camera sees, by Cycles, in linear light, row 0 on top."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device, scene.cycles.use_denoising = 4, "CPU", False
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.view_settings.view_transform = "Raw"
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.filepath = str(tmp_path / "seen.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    return np.array(image.pixels).reshape(height, width, 4)[::-1, :, :3]


def test_world_shows_every_direction_where_it_is(bpy: Any, link: Any, practice: Any, tmp_path: Path) -> None:
    """The practice panorama is red towards +X, green towards +Y and blue towards +Z, by the cosine."""
    from weft_blender.pixels import to_linear

    run(practice, as_world=True)
    camera = add_camera(bpy, (2.186, 0, -math.pi / 4))  # towards (1, 1, 1)
    camera.data.angle = math.radians(120)
    seen = rendered(bpy, tmp_path, 32, 32)
    y, x = np.mgrid[0:32, 0:32]
    edge = math.tan(math.radians(60))
    rays = np.stack([(x - 15.5) / 16 * edge, (15.5 - y) / 16 * edge, -np.ones_like(x)], axis=-1)
    rays = rays @ np.array(camera.matrix_world)[:3, :3].T
    colours = np.maximum(rays / np.linalg.norm(rays, axis=-1, keepdims=True), 0)
    assert (colours.max(axis=(0, 1)) > 0.95).all(), "all three axes are in sight"
    error = np.abs(seen - to_linear(colours.astype(np.float32)))
    assert np.quantile(error, 0.99) < 0.05, "a quarter turn would be 0.5 off"


def test_old_world_is_kept_and_comes_back(bpy: Any, link: Any, practice: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("Old")
    run(practice)
    assert scene.world.name == "Old", "not asked for"
    assert scene.weft_panorama.result.name == "Weft Panorama"
    bpy.ops.weft.use_as_world()
    assert scene.world.name == "Weft Panorama"
    assert bpy.data.worlds["Old"].use_fake_user
    run(practice, as_world=True)
    assert scene.world.name == "Weft Panorama.001"
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    bpy.ops.weft.restore_world()
    assert bpy.context.scene.world.name == "Old"
    assert not bpy.ops.weft.restore_world.poll()
    bpy.ops.weft.use_as_world()
    assert bpy.context.scene.world.name.startswith("Weft Panorama")


def test_scene_around_the_camera_is_sent(bpy: Any, link: Any, practice: Any) -> None:
    bpy.ops.mesh.primitive_cube_add(location=(5, 0, 0))
    bpy.context.object.modifiers.new("Subdivision", "SUBSURF").levels = 1
    bpy.ops.mesh.primitive_plane_add()
    bpy.context.object.hide_set(True)
    bpy.ops.mesh.primitive_plane_add()
    parent = bpy.context.object
    bpy.ops.mesh.primitive_uv_sphere_add(segments=4, ring_count=3)
    bpy.context.object.parent = parent
    parent.instance_type = "VERTS"  # a sphere at each corner, besides the original
    add_camera(bpy, (0, 0, 0), (1, 2, 3))
    job = run(practice, around=True)
    assert job.info["viewpoint"] == [1, 2, 3]
    sphere = 4 * 2 + 4 * 2  # triangles: two caps and one band
    assert job.info["faces"] == 6 * 4 * 2 + 2 + 5 * sphere


def test_exported_scene_lies_in_the_world(bpy: Any, addon: Any) -> None:
    from weft_blender.export import export_visible

    bpy.ops.mesh.primitive_cube_add(location=(5, 0, 0))
    bpy.context.object.scale = (-1, 2, 1)
    arrays = export_visible(bpy.context.evaluated_depsgraph_get())
    vertices, faces = arrays["mesh.0.vertices"], arrays["mesh.0.faces"]
    np.testing.assert_allclose([vertices.min(axis=0), vertices.max(axis=0)], [(4, -2, -1), (6, 2, 1)], atol=1e-5)
    a, b, c = (vertices[faces[:, i]].astype(np.float64) - (5, 0, 0) for i in range(3))
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6 == pytest.approx(16), "faces point outward"


@pytest.mark.parametrize(
    ("params", "sources", "part"),
    [
        ({"shape": "wide"}, {"as_world": True}, "a wide image cannot be the World"),
        ({}, {"around": True}, "has no active camera"),
        ({"prompt": " "}, {}, "neither a prompt nor a reference image"),
        ({"width": 100_000}, {}, "width must be between"),
    ],
)
def test_bad_wishes_are_refused_in_one_line(
    bpy: Any, link: Any, params: dict[str, Any], sources: dict[str, Any], part: str
) -> None:
    from weft_blender import job

    with pytest.raises(WireError, match=part) as caught:
        job.start("panorama", PanoramaParams(**{"prompt": "stone", **params}), **sources)
    assert caught.value.hint
    assert job.DESK.job is None


def test_empty_surroundings_are_refused(bpy: Any, link: Any) -> None:
    from weft_blender import job

    add_camera(bpy, (0, 0, 0))
    with pytest.raises(WireError, match="nothing with faces is visible"):
        job.start("panorama", PARAMS, around=True)


def test_editors_show_what_comes_and_get_back_what_they_had(bpy: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job

    areas = [area for screen in bpy.data.screens for area in screen.areas if area.type == "IMAGE_EDITOR"]
    space = next(area.spaces.active for area in areas if area.spaces.active.mode == "VIEW")
    space.image = mine = bpy.data.images.new("Mine", 8, 8)
    running = job.start("panorama", PanoramaParams(prompt="stream", steps=200, width=256))
    pump_until(lambda: space.image != mine)
    assert space.image.name == "Weft Panorama"
    job.cancel()
    pump_until(lambda: running.ended)
    assert space.image == mine
