"""Retexture in Blender: what meshes wear is found and refused in one line, copied, and changed only where one says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import RetextureParams

pytestmark = pytest.mark.blender

SIZE = 64
PARAMS = RetextureParams(prompt="stone", steps=4)


@pytest.fixture
def photo(bpy: Any) -> Any:
    """A packed image of random bytes, alpha included."""
    from weft_blender.pixels import encode_png

    pixels = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8)
    image = bpy.data.images.new("Photo", SIZE, SIZE, alpha=True)
    png = encode_png(pixels)
    image.pack(data=png, data_len=len(png))
    image.source = "FILE"
    return image


@pytest.fixture
def cube(bpy: Any, photo: Any) -> Any:
    """A cube that wears the photo through an elaborate material."""
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    obj.data.materials.append(make_material(bpy, photo))
    return obj


def make_material(bpy: Any, image: Any, name: str = "Photo") -> Any:
    from weft_blender.nodes import tree_of

    material = bpy.data.materials.new(name)
    nodes, links = tree_of(material).nodes, tree_of(material).links
    surface = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = 0.3
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    brighter = nodes.new("ShaderNodeBrightContrast")
    links.new(texture.outputs["Color"], brighter.inputs["Color"])
    links.new(brighter.outputs["Color"], surface.inputs["Base Color"])
    links.new(texture.outputs["Alpha"], surface.inputs["Alpha"])
    return material


def run(practice: Any, objects: list[Any], **sources: Any) -> Any:
    from weft_blender.job import run

    return run("retexture", PARAMS, key_dir=practice.key_dir, previews=True, objects=objects, **sources)


def texture_node(obj: Any, slot: int = 0) -> Any:
    return next(n for n in obj.material_slots[slot].material.node_tree.nodes if n.type == "TEX_IMAGE")


def pixels_of(image: Any) -> np.ndarray:
    from weft_blender.images import read_bytes

    return read_bytes(image)


def test_copy_keeps_alpha_and_everything_else_of_the_material(
    bpy: Any, link: Any, practice: Any, cube: Any, photo: Any
) -> None:
    before = pixels_of(photo)
    job = run(practice, [cube])
    assert [target.label for target in job.targets] == ["Cube"]
    image, material = texture_node(cube).image, cube.material_slots[0].material
    assert (image.name, material.name) == ("Weft Photo", "Weft Photo")
    after = pixels_of(image)
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    assert (after[..., :3] == (0, 255, 0)).all()
    surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert surface.inputs["Roughness"].default_value == pytest.approx(0.3)
    assert surface.inputs["Alpha"].is_linked
    np.testing.assert_array_equal(pixels_of(photo), before)
    assert texture_node_of(bpy.data.materials["Photo"]).image == photo
    assert [m.name for m in cube.data.materials] == ["Photo"]


def texture_node_of(material: Any) -> Any:
    from weft_blender.textures import node_of

    return node_of(material)


def test_outside_the_mask_every_bit_stays(bpy: Any, link: Any, practice: Any, cube: Any, photo: Any) -> None:
    mask = bpy.data.images.new("Mask", SIZE, SIZE)
    white = np.random.default_rng(4).random((SIZE, SIZE)) < 0.3
    rgba = np.zeros((SIZE, SIZE, 4), np.float32)
    rgba[white] = (0.2, 0, 0, 1)
    rgba[..., 3] = 1
    mask.pixels.foreach_set(rgba[::-1].ravel())
    run(practice, [cube], where="MASK", mask=mask)
    before, after = pixels_of(photo), pixels_of(texture_node(cube).image)
    np.testing.assert_array_equal(after[~white], before[~white])
    assert (after[white][:, :3] == (0, 255, 0)).all()


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_selected_faces_alone_change(bpy: Any, link: Any, practice: Any, cube: Any, photo: Any, mode: str) -> None:
    cube.data.polygons.foreach_set("select", [index == 0 for index in range(6)])
    if mode == "EDIT":
        import bmesh

        bpy.ops.object.mode_set(mode="EDIT")
        for face in bmesh.from_edit_mesh(cube.data).faces:
            face.select_set(False)
        bmesh.from_edit_mesh(cube.data).faces.ensure_lookup_table()
        bmesh.from_edit_mesh(cube.data).faces[0].select_set(True)
    run(practice, [cube], where="FACES")
    if mode == "EDIT":
        bpy.ops.object.mode_set(mode="OBJECT")
    before, after = pixels_of(photo), pixels_of(texture_node(cube).image)
    changed = (before != after).any(axis=2)
    layer = cube.data.uv_layers.active.data
    corners = np.array([layer[i].uv for i in cube.data.polygons[0].loop_indices])
    low, high = corners.min(axis=0), corners.max(axis=0)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    u, v = (x + 0.5) / SIZE, 1 - (y + 0.5) / SIZE
    inside = (u > low[0]) & (u < high[0]) & (v > low[1]) & (v < high[1])
    assert inside.sum() == pytest.approx(SIZE * SIZE / 16, rel=0.1)
    np.testing.assert_array_equal(changed, inside)


def test_objects_that_share_an_image_get_one(bpy: Any, link: Any, practice: Any, cube: Any, photo: Any) -> None:
    bpy.ops.mesh.primitive_plane_add()
    plane = bpy.context.object
    plane.data.materials.append(make_material(bpy, photo, "Other"))
    job = run(practice, [cube, plane])
    assert len(job.targets) == 1
    assert texture_node(cube).image == texture_node(plane).image != photo
    assert cube.material_slots[0].material != plane.material_slots[0].material


def test_materials_with_images_of_their_own_become_parts(
    bpy: Any, link: Any, practice: Any, cube: Any, photo: Any
) -> None:
    second = bpy.data.images.new("Second", 32, 32)
    cube.data.materials.append(make_material(bpy, second, "Second"))
    cube.data.materials.append(bpy.data.materials.new("Plain"))
    for polygon in cube.data.polygons:
        polygon.material_index = polygon.index % 3
    job = run(practice, [cube])
    assert [target.image for target in job.targets] == ["Photo", "Second"]
    assert any("without an image texture stay" in warning for warning in job.warnings)
    assert [slot.material.name for slot in cube.material_slots] == ["Weft Photo", "Weft Second", "Plain"]
    assert tuple(texture_node(cube, 1).image.size) == (32, 32)


def test_active_image_node_counts_first(bpy: Any, photo: Any) -> None:
    from weft_blender.textures import node_of

    material = make_material(bpy, photo)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    other = nodes.new("ShaderNodeTexImage")
    other.image = bpy.data.images.new("Other", 8, 8)
    nodes.active = other
    assert node_of(material).image == photo, "what does not reach the colour does not count"
    mix = nodes.new("ShaderNodeMixRGB")
    base = next(node for node in nodes if node.type == "BSDF_PRINCIPLED").inputs["Base Color"]
    links.new(base.links[0].from_socket, mix.inputs[1])
    links.new(other.outputs["Color"], mix.inputs[2])
    links.new(mix.outputs[0], base)
    assert node_of(material) == other
    nodes.active = mix
    assert node_of(material).image.name in ("Photo", "Other")


def remove_material(bpy: Any, obj: Any) -> None:
    obj.data.materials.clear()


def make_float(bpy: Any, obj: Any) -> None:
    texture_node(obj).image = bpy.data.images.new("Float", SIZE, SIZE, float_buffer=True)


def make_data(bpy: Any, obj: Any) -> None:
    texture_node(obj).image.colorspace_settings.name = "Non-Color"


def make_tiled(bpy: Any, obj: Any) -> None:
    texture_node(obj).image = bpy.data.images.new("Tiles", SIZE, SIZE, tiled=True)


def lose_file(bpy: Any, obj: Any) -> None:
    image = bpy.data.images.new("Lost", 4, 4)
    image.source = "FILE"
    image.filepath = "//lost/photo.png"
    texture_node(obj).image = image


def generate(bpy: Any, obj: Any) -> None:
    tree = obj.material_slots[0].material.node_tree
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(coordinates.outputs["Object"], texture_node(obj).inputs["Vector"])


def repeat(bpy: Any, obj: Any) -> None:
    for corner in obj.data.uv_layers.active.data:
        corner.uv = corner.uv * 5


def take_uvs(bpy: Any, obj: Any) -> None:
    obj.data.uv_layers.remove(obj.data.uv_layers[0])


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (remove_material, "'Cube' wears no image texture"),
        (make_float, "holds floating-point or 16-bit colours"),
        (make_data, "has the colour space Non-Color, not sRGB"),
        (make_tiled, "is UDIM tiles"),
        (lose_file, "cannot be read: //lost/photo.png"),
        (generate, "is placed by the node 'Texture Coordinate'"),
        (repeat, "leave the unit square"),
        (take_uvs, "are missing"),
    ],
)
def test_unfit_textures_are_refused_in_one_line(
    bpy: Any, link: Any, cube: Any, spoil: Callable[..., None], part: str
) -> None:
    from weft_blender import job

    spoil(bpy, cube)
    with pytest.raises(WireError, match=part) as caught:
        job.start("retexture", PARAMS, objects=[cube])
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert job.DESK.job is None


def test_wrong_masks_and_selections_are_refused(bpy: Any, link: Any, cube: Any) -> None:
    from weft_blender import job

    small, black = bpy.data.images.new("Small", 32, SIZE), bpy.data.images.new("Black", SIZE, SIZE)
    cube.data.polygons.foreach_set("select", [False] * 6)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"where": "MASK"}, "there is no mask"),
        ({"where": "MASK", "mask": small}, "'Small' has 32 × 64 pixels, the texture 'Photo' has 64 × 64"),
        ({"where": "MASK", "mask": black}, "'Black' is black"),
        ({"where": "FACES"}, "no face is selected"),
    ]
    for sources, part in wrong:
        with pytest.raises(WireError, match=part) as caught:
            job.start("retexture", PARAMS, objects=[cube], **sources)
        assert caught.value.hint


def test_missing_file_after_loading(bpy: Any, link: Any, practice: Any, cube: Any, tmp_path: Path) -> None:
    """An image whose file vanished after Blender has read it is as good as any."""
    from weft_blender.pixels import encode_png

    path = tmp_path / "there.png"
    path.write_bytes(encode_png(np.full((SIZE, SIZE, 3), 9, np.uint8)))
    image = bpy.data.images.load(str(path))
    assert tuple(image.size) == (SIZE, SIZE)
    assert image.pixels[0] == pytest.approx(9 / 255)
    path.unlink()
    texture_node(cube).image = image
    assert run(practice, [cube]).state == "applied"


def test_paint_mask_makes_one_of_the_textures_size(bpy: Any, cube: Any) -> None:
    bpy.ops.weft.paint_mask()
    mask = bpy.context.scene.weft_retexture.mask
    assert tuple(mask.size) == (SIZE, SIZE)
    assert not pixels_of(mask)[..., :3].any()
    assert cube.mode == "TEXTURE_PAINT"
    assert bpy.context.scene.tool_settings.image_paint.canvas == mask
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.weft.paint_mask()
    assert bpy.context.scene.weft_retexture.mask == mask
    bpy.ops.object.mode_set(mode="OBJECT")
