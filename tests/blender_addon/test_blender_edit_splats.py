"""Splats edited in Blender: what may change and what keeps its bits, before and after, where, and live."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import EditSceneParams

pytestmark = pytest.mark.blender

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
COLOURS = ("f_dc_0", "f_dc_1", "f_dc_2")
RED = (1.5, -1.5, -1.5)
SCENE = EditSceneParams(prompt="rust", iterations=2)


def splat_file(folder: Path, count: int = 200, rest: int = 9) -> Path:
    """Splats in the box [-1, 1]³, with a property of their own and opacities beyond what is sent."""
    names = [*"xyz", "nx", "ny", "nz", *COLOURS, *(f"f_rest_{i}" for i in range(rest)), "opacity"]
    names += [*(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)), "glow"]
    rng = np.random.default_rng(3)
    rows = rng.uniform(-1, 1, (count, len(names))).astype("<f4")
    rows[:5, names.index("opacity")] = np.inf
    header = "".join(f"property float {name}\n" for name in names)
    path = folder / "toy.ply"
    text = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{header}end_header\n"
    path.write_bytes(text.encode() + rows.tobytes())
    return path


@pytest.fixture
def splats(bpy: Any, tmp_path: Path) -> Any:
    from weft_blender.splat_operators import import_splats

    obj = import_splats(str(splat_file(tmp_path)))
    bpy.context.view_layer.update()
    return obj


def rows_of(data: bytes) -> np.ndarray:
    from weft_blender.splat_ply import read_ply

    return read_ply(data, "test").rows


def exported(obj: Any, tmp_path: Path) -> bytes:
    from weft_blender.splat_operators import export_splats

    export_splats(obj, str(tmp_path / "out.ply"))
    return (tmp_path / "out.ply").read_bytes()


def run(practice: Any, params: Any, **sources: Any) -> Any:
    from weft_blender.job import run

    return run("edit_scene", params, key_dir=practice.key_dir, previews=True, **sources)


def select(obj: Any, chosen: np.ndarray) -> None:
    obj.data.vertices.foreach_set("select", chosen)


def test_only_colours_of_the_selection_change(bpy: Any, link: Any, practice: Any, splats: Any, tmp_path: Path) -> None:
    before, chosen = rows_of((tmp_path / "toy.ply").read_bytes()), np.arange(200) % 3 == 0
    select(splats, chosen)
    job = run(practice, SCENE, objects=[splats], where="SELECTED")
    assert job.state == "applied"
    after = rows_of(exported(splats, tmp_path))
    assert after.dtype == before.dtype
    for name in before.dtype.names or ():
        if name in COLOURS or name.startswith("f_rest_"):
            assert after[name][~chosen].tobytes() == before[name][~chosen].tobytes(), name
        else:
            assert after[name].tobytes() == before[name].tobytes(), name
    np.testing.assert_array_equal([after[name][chosen] for name in COLOURS], np.tile(RED, (chosen.sum(), 1)).T)
    shown = np.empty((200, 4), np.float32)
    splats.data.attributes["weft_color"].data.foreach_get("color", shown.ravel())
    np.testing.assert_allclose(shown[chosen][:, :3], np.tile([0.834, 0.0062, 0.0062], (chosen.sum(), 1)), atol=1e-3)
    assert tuple(bpy.context.scene.weft_edit_scene.result.size) == (32, 16)


def test_before_and_after(bpy: Any, link: Any, practice: Any, splats: Any, tmp_path: Path) -> None:
    original, untouched = splats.data, exported(splats, tmp_path)
    bpy.context.view_layer.objects.active = splats
    assert not bpy.ops.weft.exchange_splats.poll()
    run(practice, SCENE, objects=[splats])
    edited, changed = splats.data, exported(splats, tmp_path)
    assert edited != original
    assert changed != untouched
    assert original.use_fake_user
    bpy.ops.weft.exchange_splats()
    assert (splats.data, exported(splats, tmp_path)) == (original, untouched)
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    bpy.context.view_layer.objects.active = obj = bpy.data.objects["toy"]
    bpy.ops.weft.exchange_splats()
    assert exported(obj, tmp_path) == changed
    bpy.ops.weft.exchange_splats()
    assert exported(obj, tmp_path) == untouched


def test_colours_are_shown_while_they_form(bpy: Any, splats: Any) -> None:
    from weft_blender.before import restore
    from weft_blender.pixels import to_linear
    from weft_blender.task_views import ViewTarget
    from weft_blender.tasks import TASKS

    task, original = TASKS["edit_scene"], splats.data
    image = np.random.default_rng(0).integers(0, 256, (1, 1024, 3), dtype=np.uint8)
    target = ViewTarget(splats.name, "", bpy.context.scene.name)
    assert task.show_preview("job", 1, target, task.prepare_preview(image, *task.keep([target])))
    shown = np.empty((200, 4), np.float32)
    splats.data.attributes["weft_color"].data.foreach_get("color", shown.ravel())
    np.testing.assert_allclose(shown[:, :3], to_linear(image[0, :200]), atol=1e-6)
    restore()
    assert splats.data == original


def test_everything_may_change(bpy: Any, link: Any, practice: Any, splats: Any, tmp_path: Path) -> None:
    before = rows_of((tmp_path / "toy.ply").read_bytes())
    run(practice, EditSceneParams(prompt="rust", iterations=2, change="all"), objects=[splats])
    after = rows_of(exported(splats, tmp_path))
    assert len(after) == 199
    np.testing.assert_array_equal(after["x"], before["x"][1:] + np.float32(1))
    evaluated = splats.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert len(evaluated.data.polygons) == (after["opacity"] > -10).sum(), "a disk each"


def test_moved_splats_are_drawn_where_they_are(bpy: Any, splats: Any) -> None:
    """As many as before: what changed is written, and the disks follow."""
    from weft_blender.splat_arrays import scene_arrays, take

    arrays = scene_arrays(splats)
    arrays["splats.means"] = arrays["splats.means"] + np.float32(2)
    arrays["splats.log_scales"] = arrays["splats.log_scales"] - np.float32(1)
    take(splats.data, arrays)
    again = scene_arrays(splats)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert math.isinf(splats.data.attributes["opacity"].data[0].value), "nothing was to change it"
    size = np.empty((200, 3), np.float32)
    splats.data.attributes["weft_size"].data.foreach_get("vector", size.ravel())
    assert size[0, 0] == pytest.approx(1.5 * math.exp(arrays["splats.log_scales"][0].max()))


def test_volume_lies_in_the_frame_of_the_splats(bpy: Any, link: Any, practice: Any, splats: Any) -> None:
    splats.location, splats.scale = (4, 5, 6), (2, 2, 2)
    bpy.ops.mesh.primitive_cube_add(size=2, location=(4, 5, 6))
    cube = bpy.context.object
    bpy.context.view_layer.update()
    job = run(practice, SCENE, objects=[splats, cube], where="VOLUME", volume=cube)
    np.testing.assert_allclose(np.abs(job.info["mesh.0.vertices"]), 0.5, atol=1e-6)
    assert len(job.info["mesh.0.faces"]) == 12


def test_cameras_of_the_scene_are_brought_into_the_frame(bpy: Any, link: Any, practice: Any, splats: Any) -> None:
    splats.location, splats.rotation_euler, splats.scale = (4, 5, 6), (0, 0, 0), (2, 2, 2)
    bpy.ops.object.camera_add(location=(4, -5, 6), rotation=(math.pi / 2, 0, 0))
    bpy.context.view_layer.update()
    job = run(practice, SCENE, objects=[splats], cameras="SCENE")
    pose = np.array(job.info["camera.poses"][0])
    np.testing.assert_allclose(pose[:3, 3], (0, -5, 0), atol=1e-5)
    np.testing.assert_allclose(pose[:3, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-5)


def test_up_is_where_the_object_stands(bpy: Any, splats: Any) -> None:
    from weft_blender.tasks import TASKS

    task, settings = TASKS["edit_scene"], bpy.context.scene.weft_edit_scene
    splats.select_set(True)
    assert task.parameters(settings).up == "-y"
    for turn, up in ((math.pi / 2, "y"), (0, "z")):
        splats.rotation_euler = (turn, 0, 0.4)
        bpy.context.view_layer.update()
        assert task.parameters(settings).up == up


def group(obj: Any, name: str, points: list[int]) -> None:
    obj.vertex_groups.new(name=name).add(points, 0.5, "ADD")


def test_group_is_the_region(bpy: Any, splats: Any) -> None:
    from weft_blender.region import region_of

    group(splats, "Part", [3, 5])
    assert np.flatnonzero(region_of(splats, "GROUP", None)["region.selected"]).tolist() == [3, 5]


def test_regions_that_cannot_be_are_refused(bpy: Any, link: Any, splats: Any) -> None:
    from weft_blender import job

    splats.location = (0, 0, 0)
    select(splats, np.zeros(200, bool))
    bpy.ops.mesh.primitive_plane_add(size=9)
    plane = bpy.context.object
    bpy.ops.mesh.primitive_cube_add(location=(9, 9, 9))
    far = bpy.context.object
    bpy.ops.object.camera_add()
    camera = bpy.context.object
    cases: list[tuple[dict[str, Any], str]] = [
        ({"objects": []}, "no splats are selected, expected one object"),
        ({"objects": [camera]}, "no splats are selected"),
        ({"objects": [splats, far]}, "2 objects are selected, expected one"),
        ({"objects": [far]}, "'Cube' has 6 faces, expected Gaussian splats"),
        ({"where": "SELECTED"}, "no splat of 'toy' is selected"),
        ({"where": "GROUP"}, "'toy' has no vertex group"),
        ({"where": "VOLUME"}, "no mesh is chosen as the volume"),
        ({"where": "VOLUME", "volume": camera}, "'Camera' is no volume"),
        ({"where": "VOLUME", "volume": plane}, "'Plane' is not closed: 4 edges"),
        ({"where": "VOLUME", "volume": far}, "no splat of 'toy' lies inside 'Cube'"),
        ({"cameras": "PHOTOS"}, "no cameras with a photograph are in the scene 'Scene'"),
    ]
    for sources, part in cases:
        with pytest.raises(WireError, match=part) as caught:
            job.start("edit_scene", SCENE, **{"objects": [splats], **sources})
        assert caught.value.hint
        assert "\n" not in str(caught.value)
    group(splats, "Nothing", [])
    with pytest.raises(WireError, match="the group 'Nothing' of 'toy' is empty"):
        job.start("edit_scene", SCENE, objects=[splats], where="GROUP")
    with pytest.raises(WireError, match="neither a prompt nor a reference image"):
        job.start("edit_scene", EditSceneParams(), objects=[splats])
    splats.data.attributes["f_rest_3"].data[7].value = math.nan
    with pytest.raises(WireError, match="has 1 colours that are NaN"):
        job.start("edit_scene", SCENE, objects=[splats])
    assert job.DESK.job is None


def test_real_capture_keeps_all_but_colours(bpy: Any, server: Any, tmp_path: Path) -> None:
    """A real job, as small as can be."""
    from weft_blender.splat_operators import import_splats

    path = DATA / "guitar_splats.ply"
    if not path.exists():
        pytest.skip(f"no {path}")
    obj = import_splats(str(path))
    before = rows_of(path.read_bytes())
    chosen = before["y"] > np.median(before["y"])
    select(obj, chosen)
    params = EditSceneParams(prompt="mossy stone", size=64, views=2, iterations=2, every=1, scene_steps=1)
    run(server, params, objects=[obj], where="SELECTED")
    after = rows_of(exported(obj, tmp_path))
    for name in before.dtype.names or ():
        if name in COLOURS:
            assert (after[name] != before[name]).any()
            assert after[name][~chosen].tobytes() == before[name][~chosen].tobytes(), name
        else:
            assert after[name].tobytes() == before[name].tobytes(), name
