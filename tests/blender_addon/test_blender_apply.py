"""Textures arrive on new materials; what was there before stays, and comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.blender

PICTURE = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture
def obj(bpy: Any) -> Any:
    """Suzanne with two slots: one material on the mesh, one on the object."""
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    obj.data.materials.append(bpy.data.materials.new("On the mesh"))
    obj.data.materials.append(None)
    obj.material_slots[1].link = "OBJECT"
    obj.material_slots[1].material = bpy.data.materials.new("On the object")
    return obj


def preview(value: int = 128, size: int = 16) -> tuple[np.ndarray, tuple[int, int]]:
    from weft_blender.pixels import to_blender

    return to_blender(np.full((size, size, 3), value, np.uint8)), (size, size)


def show_preview(name: str, flat: np.ndarray, size: tuple[int, int], job: str = "job") -> bool:
    from weft_blender.export import Target
    from weft_blender.tasks import TASKS

    return TASKS["texture"].show_preview(job, 0, Target(name, "UVMap"), (flat, size))


def put_result(name: str, job: str = "job") -> str:
    """The warning, if there was one."""
    from weft_blender.before import commit
    from weft_blender.export import Target
    from weft_blender.pixels import encode_png
    from weft_blender.tasks import TASKS

    target, parameters = Target(name, "UVMap"), {"prompt": "moss", "seed": 3}
    warning = TASKS["texture"].show_result(job, 0, target, encode_png(PICTURE), parameters)
    commit(job)
    return warning


def looks(obj: Any) -> list[tuple[str, str]]:
    return [(slot.link, slot.material.name if slot.material else "") for slot in obj.material_slots]


def content(image: Any) -> np.ndarray:
    from weft_blender.pixels import to_wire

    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return to_wire(pixels, *image.size, linear=False)


def test_preview_comes_and_goes(bpy: Any, obj: Any) -> None:
    from weft_blender.before import restore

    before = looks(obj)
    assert show_preview(obj.name, *preview(50))
    assert show_preview(obj.name, *preview(200))
    assert {name for _, name in looks(obj)} == {f"Weft {obj.name}"}
    assert len(bpy.data.images) == 1
    assert (content(bpy.data.images[0]) == 200).all()
    restore(keep="job")
    assert len(bpy.data.images) == 1
    restore()
    assert looks(obj) == before
    assert not bpy.data.images
    assert [material.name for material in bpy.data.materials] == ["On the mesh", "On the object"]


def test_result_is_packed_and_carries_its_parameters(bpy: Any, obj: Any) -> None:
    from weft_blender.before import restore

    show_preview(obj.name, *preview())
    assert not put_result(obj.name)
    restore()
    image = bpy.data.images[0]
    assert image.packed_file is not None
    assert json.loads(image["weft"]) == {"prompt": "moss", "seed": 3, "object": obj.name}
    np.testing.assert_array_equal(content(image), PICTURE)
    material = obj.material_slots[0].material
    nodes = {node.type: node for node in material.node_tree.nodes}
    assert nodes["TEX_IMAGE"].image == image
    assert nodes["UVMAP"].uv_map == "UVMap"
    assert nodes["BSDF_PRINCIPLED"].inputs["Base Color"].is_linked


def test_old_materials_survive_saving(bpy: Any, obj: Any, tmp_path: Path) -> None:
    name = obj.name
    put_result(name)
    assert [material.name for material in obj.data.materials if material] == ["On the mesh"]
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert {"On the mesh", "On the object"} <= set(bpy.data.materials.keys())
    obj = bpy.data.objects[name]
    assert {slot.material.name for slot in obj.material_slots} == {f"Weft {name}"}
    np.testing.assert_array_equal(content(bpy.data.images[f"Weft {name}"]), PICTURE)


def test_second_result_keeps_the_first(bpy: Any, obj: Any) -> None:
    put_result(obj.name, "one")
    put_result(obj.name, "two")
    assert len(bpy.data.images) == 2
    first = next(material for material in bpy.data.materials if material.get("weft_job") == "one")
    assert first.use_fake_user


def test_preview_over_a_result_gives_it_back(bpy: Any, obj: Any) -> None:
    from weft_blender.before import restore

    put_result(obj.name, "one")
    before = looks(obj)
    show_preview(obj.name, *preview(), job="two")
    restore()
    assert looks(obj) == before


def test_twins_with_one_mesh_have_looks_of_their_own(bpy: Any, obj: Any) -> None:
    twin = bpy.data.objects.new("Twin", obj.data)
    bpy.context.scene.collection.objects.link(twin)
    put_result(obj.name)
    assert obj.material_slots[0].material.name == f"Weft {obj.name}"
    assert twin.material_slots[0].material.name == "On the mesh"


def test_object_without_slots_has_none_again(bpy: Any) -> None:
    from weft_blender.before import restore

    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    show_preview(cube.name, *preview())
    assert cube.material_slots[0].material.name == f"Weft {cube.name}"
    restore()
    assert not cube.material_slots


def test_unfinished_preview_is_taken_off_after_loading(bpy: Any, obj: Any, tmp_path: Path) -> None:
    """A file saved while a job ran, whose job nobody knows any more, looks as before."""
    before, name = looks(obj), obj.name
    show_preview(name, *preview())
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert looks(bpy.data.objects[name]) == before


def test_result_of_a_vanished_object_is_kept(bpy: Any, obj: Any) -> None:
    bpy.data.objects.remove(obj)
    assert "is gone" in put_result("Suzanne")
    assert bpy.data.images["Weft Suzanne"].use_fake_user


def test_undo_never_ends_at_a_preview(bpy: Any, obj: Any) -> None:
    """An undo step that the user made while previews came holds one; going back to it takes it off again."""
    before, name = looks(obj), obj.name
    bpy.ops.ed.undo_push(message="scene")
    show_preview(name, *preview())
    obj.location.x = 1
    bpy.ops.ed.undo_push(message="moved meanwhile")
    put_result(name)
    bpy.ops.ed.undo_push(message="Weft Texture")
    bpy.ops.ed.undo()
    obj = bpy.data.objects[name]
    assert obj.location.x == 1
    assert looks(obj) == before
    bpy.ops.ed.redo()
    assert {material for _, material in looks(bpy.data.objects[name])} == {f"Weft {name}"}
    np.testing.assert_array_equal(content(bpy.data.images[f"Weft {name}"]), PICTURE)
