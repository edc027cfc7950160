"""Gaussian splats in Blender: in and out bit for bit, new colours on a copy, the frame of the file all along."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import SplatTextureParams

pytestmark = pytest.mark.blender

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
NORMALS = ("nx", "ny", "nz")
DC = ("f_dc_0", "f_dc_1", "f_dc_2")
TAIL = ("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")
PARAMS = SplatTextureParams(prompt="stone", steps=4)


def make_ply(
    count: int = 1500, rest: int = 45, extra: tuple[tuple[str, str], ...] = (("float", "glow"), ("uchar", "label"))
) -> bytes:
    """A file of random splats as the first implementation writes them, with properties of its own at the end."""
    names = ["x", "y", "z", *NORMALS, *DC, *(f"f_rest_{i}" for i in range(rest)), *TAIL]
    fields = [("float", name) for name in names] + list(extra)
    kinds = {"float": "<f4", "uchar": "u1", "uint": "<u4", "short": "<i2", "double": "<f8"}
    rows = np.zeros(count, np.dtype([(name, kinds[kind]) for kind, name in fields]))
    rng = np.random.default_rng(7)
    for kind, name in fields:
        rows[name] = rng.normal(size=count) if kind == "float" else rng.integers(0, 200, count)
    lines = "".join(f"property {kind} {name}\n" for kind, name in fields)
    header = (
        f"ply\nformat binary_little_endian 1.0\ncomment made for a test\nelement vertex {count}\n{lines}end_header\n"
    )
    return header.encode() + rows.tobytes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bench.ply"
    path.write_bytes(make_ply())
    return path


def rows_of(data: bytes) -> np.ndarray:
    from weft_blender.splat_ply import read_ply

    return read_ply(data, "test").rows


def run(practice: Any, obj: Any, params: SplatTextureParams = PARAMS) -> Any:
    from weft_blender.job import run

    return run("splat_texture", params, key_dir=practice.key_dir, previews=True, objects=[obj])


def exported(obj: Any, tmp_path: Path) -> bytes:
    from weft_blender.splat_operators import export_splats

    export_splats(obj, str(tmp_path / "out.ply"))
    return (tmp_path / "out.ply").read_bytes()


@pytest.mark.parametrize("rest", [0, 9, 45])
@pytest.mark.parametrize("extra", [(), (("uint", "id"), ("short", "class"), ("uchar", "label"))])
def test_what_comes_in_goes_out_bit_for_bit(
    bpy: Any, tmp_path: Path, rest: int, extra: tuple[tuple[str, str], ...]
) -> None:
    from weft_blender.splat_operators import import_splats

    data = make_ply(rest=rest, extra=extra)
    (tmp_path / "in.ply").write_bytes(data)
    obj = import_splats(str(tmp_path / "in.ply"))
    assert len(obj.data.vertices) == 1500
    assert exported(obj, tmp_path) == data
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert exported(bpy.data.objects["in"], tmp_path) == data


def test_only_colours_change(bpy: Any, link: Any, practice: Any, file: Path, tmp_path: Path) -> None:
    from weft_blender.splat_operators import import_splats

    file.write_bytes(make_ply(rest=9))
    obj = import_splats(str(file))
    original = obj.data
    job = run(practice, obj)
    assert obj.data != original
    assert original.use_fake_user
    before, after = rows_of(file.read_bytes()), rows_of(exported(obj, tmp_path))
    assert before.dtype == after.dtype
    for name in before.dtype.names or ():
        if name.startswith("f_rest_"):
            assert not after[name].any(), name
        elif name not in DC:
            assert before[name].tobytes() == after[name].tobytes(), name
    np.testing.assert_array_equal(np.stack([after[name] for name in DC], axis=1), job.arrays["splats.dc"])
    assert exported(original_as_object(bpy, original), tmp_path) == file.read_bytes()


def original_as_object(bpy: Any, mesh: Any) -> Any:
    return bpy.data.objects.new("Original", mesh)


def test_viewport_shows_the_colours(bpy: Any, link: Any, practice: Any, file: Path) -> None:
    from weft_blender.pixels import to_linear
    from weft_blender.splat_operators import import_splats

    obj = import_splats(str(file))
    job = run(practice, obj)
    shown = np.empty((1500, 4), np.float32)
    obj.data.attributes["weft_color"].data.foreach_get("color", shown.ravel())
    expected = to_linear(np.clip(0.5 + 0.28209479177387814 * job.arrays["splats.dc"], 0, 1))
    np.testing.assert_allclose(shown[:, :3], expected, atol=1e-6)
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated.data.name != "", "the modifier evaluates"
    assert [modifier.name for modifier in obj.modifiers] == ["Weft Splats"]


def test_previews_come_in_the_order_of_the_splats(bpy: Any, addon: Any, file: Path) -> None:
    from weft_blender.before import restore
    from weft_blender.export import Target
    from weft_blender.pixels import to_linear
    from weft_blender.splat_operators import import_splats
    from weft_blender.tasks import TASKS

    obj, task = import_splats(str(file)), TASKS["splat_texture"]
    original = obj.data
    image = np.random.default_rng(0).integers(0, 256, (2, 1024, 3), dtype=np.uint8)
    prepared = task.prepare_preview(image, None)
    assert task.show_preview("job", 0, Target(obj.name, ""), prepared)
    shown = np.empty((1500, 4), np.float32)
    obj.data.attributes["weft_color"].data.foreach_get("color", shown.ravel())
    np.testing.assert_allclose(shown[:, :3], to_linear(image.reshape(-1, 3)[:1500]), atol=1e-6)
    assert not task.show_preview("job", 0, Target(obj.name, ""), prepared[:1000]), "splats were added meanwhile"
    restore()
    assert obj.data == original


def test_blenders_own_import_works_as_well(bpy: Any, link: Any, practice: Any, tmp_path: Path) -> None:
    data = make_ply(rest=9, extra=())
    (tmp_path / "in.ply").write_bytes(data)
    bpy.ops.wm.ply_import(filepath=str(tmp_path / "in.ply"))
    obj = bpy.context.object
    job = run(practice, obj)
    before, after = rows_of(data), rows_of(exported(obj, tmp_path))
    assert before.dtype == after.dtype
    for name in before.dtype.names or ():
        if name not in (*DC, *NORMALS) and not name.startswith("f_rest_"):  # Blender normalises normals
            assert before[name].tobytes() == after[name].tobytes(), name
    np.testing.assert_array_equal(np.stack([after[name] for name in DC], axis=1), job.arrays["splats.dc"])
    assert [modifier.name for modifier in obj.modifiers] == ["Weft Splats"]


def test_real_capture(bpy: Any, tmp_path: Path) -> None:
    from weft_blender.splat_operators import import_splats

    path = DATA / "guitar_splats.ply"
    if not path.exists():
        pytest.skip(f"no {path}")
    obj = import_splats(str(path))
    assert len(obj.data.vertices) == 90854
    assert exported(obj, tmp_path) == path.read_bytes()


def test_frame_is_that_of_the_file(bpy: Any, addon: Any, file: Path) -> None:
    """The object's transform moves no splat; the scene's cameras are brought to the file's frame."""
    from weft_blender.splat_operators import import_splats
    from weft_blender.tasks import TASKS

    obj = import_splats(str(file), up="-y")
    obj.location, obj.scale = (4, 5, 6), (2, 2, 2)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (1, -7, 3), (1.1, 0.2, -0.5)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.view_layer.update()
    params = SplatTextureParams(prompt="stone", cameras="scene")
    arrays = TASKS["splat_texture"].collect(params, objects=[obj]).arrays
    rows = rows_of(file.read_bytes())
    np.testing.assert_array_equal(arrays["splats.means"], np.stack([rows[axis] for axis in "xyz"], axis=1))
    pose = arrays["camera.poses"][0].astype(np.float64)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
    world = np.array(obj.matrix_world) @ pose
    np.testing.assert_allclose(world[:3, 3], (1, -7, 3), atol=1e-5)
    np.testing.assert_allclose(world[:3, :3] / 2, np.array(camera.matrix_world)[:3, :3], atol=1e-5)
    up = np.array(obj.matrix_world)[:3, :3] @ (0, -1, 0)
    np.testing.assert_allclose(up, (0, 0, 2), atol=1e-5, err_msg="-y stands up")
    obj.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    with pytest.raises(WireError, match="scaled unevenly"):
        TASKS["splat_texture"].collect(params, objects=[obj])


def test_infinite_opacity_is_sent_as_a_finite_one(bpy: Any, addon: Any, file: Path) -> None:
    from weft_blender.splat_operators import import_splats
    from weft_blender.tasks import TASKS

    obj = import_splats(str(file))
    obj.data.attributes["opacity"].data[0].value = math.inf
    obj.data.attributes["scale_1"].data[1].value = -math.inf
    arrays = TASKS["splat_texture"].collect(PARAMS, objects=[obj]).arrays
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert 1 / (1 + math.exp(-float(arrays["splats.logits"][0]))) == 1


def rename(data: bytes, old: str, new: str) -> bytes:
    return data.replace(f"{old}\n".encode(), f"{new}\n".encode(), 1)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda data: b"hello", "is no PLY file"),
        (lambda data: b"", "is no PLY file"),
        (lambda data: data[:-5], "is cut off: 1499 of 1500 splats are there"),
        (lambda data: rename(data, "format binary_little_endian 1.0", "format ascii 1.0"), "is an ASCII file"),
        (lambda data: rename(data, "float opacity", "float light"), "opacity missing"),
        (lambda data: rename(data, "f_rest_44", "f_rest_45"), "has 45 properties f_rest_0"),
        (lambda data: rename(data, "float f_rest_44", "float other"), "has 44 properties f_rest_0"),
        (lambda data: rename(data, "element vertex 1500", "element vertex 0"), "holds 0 splats"),
        (lambda data: rename(data, "comment made for a test", "element chunk 0"), "is a compressed splat file"),
        (lambda data: rename(data, "float nx", "double nx"), "has the property double nx"),
        (lambda data: rename(data, "float nx", "list uchar int nx"), "has the property list"),
        (lambda data: rename(data, "element vertex 1500", "element face 1500"), "holds face, expected splats"),
        (lambda data: data[:-248] + b"\xff" * 248, "at NaN or infinity"),
    ],
)
def test_damaged_files_are_refused_in_one_line(
    bpy: Any, tmp_path: Path, spoil: Callable[[bytes], bytes], part: str
) -> None:
    path = tmp_path / "broken.ply"
    path.write_bytes(spoil(make_ply(extra=())))
    with pytest.raises(RuntimeError, match=part) as caught:
        bpy.ops.weft.import_splats(filepath=str(path))
    assert str(caught.value).strip().count("\n") == 0
    assert not bpy.data.meshes


def test_absent_file_is_one_line(bpy: Any) -> None:
    with pytest.raises(RuntimeError, match=r"'absent\.ply' cannot be read: No such file"):
        bpy.ops.weft.import_splats(filepath="/absent.ply")


def test_buttons_import_and_export(bpy: Any, file: Path, tmp_path: Path) -> None:
    bpy.ops.weft.import_splats(filepath=str(file), up="z")
    assert bpy.context.object.name == "bench"
    assert bpy.context.scene.weft_splat_texture.up == "z"
    bpy.ops.weft.export_splats(filepath=str(tmp_path / "copy"))
    assert (tmp_path / "copy.ply").read_bytes() == file.read_bytes()
    with pytest.raises(RuntimeError, match="cannot be written"):
        bpy.ops.weft.export_splats(filepath=str(tmp_path / "absent" / "copy.ply"))


def test_what_is_no_splats_is_refused(bpy: Any, link: Any, file: Path) -> None:
    from weft_blender import job
    from weft_blender.splat_operators import import_splats

    splats, other = import_splats(str(file)), import_splats(str(file))
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    bpy.ops.object.light_add()
    light = bpy.context.object
    points = bpy.data.objects.new("Points", bpy.data.meshes.new("Points"))
    broken = import_splats(str(file))
    broken.data.attributes["rot_2"].data[3].value = math.nan
    flat = import_splats(str(file))
    for i in range(4):
        flat.data.attributes[f"rot_{i}"].data[5].value = 0
    for objects, part in (
        ([], "nothing is selected, expected one object"),
        ([splats, other], "2 objects are selected, expected one object"),
        ([cube], "'Cube' has 6 faces, expected Gaussian splats"),
        ([light], "is a light, expected Gaussian splats"),
        ([points], "'Points' holds no Gaussian splats: f_dc_0"),
        ([broken], "has 1 rotations that are NaN or of length 0"),
        ([flat], "has 1 rotations that are NaN or of length 0"),
    ):
        with pytest.raises(WireError, match=part) as caught:
            job.start("splat_texture", PARAMS, objects=objects)
        assert caught.value.hint
    assert job.DESK.job is None


def test_object_that_vanishes_leaves_its_mesh(bpy: Any, link: Any, pump_until: Any, file: Path) -> None:
    from weft_blender import job
    from weft_blender.splat_operators import import_splats

    obj = import_splats(str(file))
    original = obj.data
    mine = job.start("splat_texture", SplatTextureParams(prompt="stream", steps=6), objects=[obj])
    pump_until(lambda: obj.data != original)
    bpy.data.objects.remove(obj)
    pump_until(lambda: mine.ended)
    assert mine.state == "applied"
    assert any("its splats are kept as the mesh 'Weft bench'" in warning for warning in mine.warnings)
    assert bpy.data.meshes["Weft bench"].use_fake_user
