"""Panoramas edited in Blender: of images and of Worlds, regions of them, and the World that shows the new one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import EditPanoramaParams

pytestmark = pytest.mark.blender

PANORAMA = EditPanoramaParams(prompt="snow", iterations=2)


def run(practice: Any, params: Any, **sources: Any) -> Any:
    from weft_blender.job import run

    return run("edit_panorama", params, key_dir=practice.key_dir, previews=True, **sources)


def make_image(bpy: Any, name: str, values: np.ndarray) -> Any:
    """A packed image of u1 [H, W, 3]."""
    from weft_blender.images import pack
    from weft_blender.pixels import encode_png

    image = bpy.data.images.new(name, 1, 1)
    pack(image, encode_png(values), {})
    return image


def seen(image: Any) -> np.ndarray:
    from weft_blender.images import read_bytes

    return read_bytes(image)[..., :3]


def test_world_takes_the_edited_image_turned_as_it_was(bpy: Any, link: Any, practice: Any) -> None:
    from weft_blender.nodes import tree_of
    from weft_blender.world import make_world

    values = np.random.default_rng(2).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    scene = bpy.context.scene
    scene.world = world = make_world(make_image(bpy, "Sky", values))
    nodes, links = tree_of(world).nodes, tree_of(world).links
    turned = nodes.new("ShaderNodeMapping")
    turned.inputs["Rotation"].default_value[2] = 1.0
    sky = next(node for node in nodes if node.type == "TEX_ENVIRONMENT")
    links.new(turned.outputs[0], sky.inputs[0])
    world.name = "Mine"
    from weft_blender.wide_images import world_image

    run(practice, PANORAMA, image=world_image(scene), as_world=True)
    assert scene.world != world
    nodes = tree_of(scene.world).nodes
    assert next(node for node in nodes if node.type == "MAPPING").inputs["Rotation"].default_value[2] == 1.0
    shown = next(node for node in nodes if node.type == "TEX_ENVIRONMENT").image
    assert shown == scene.weft_edit_panorama.result
    np.testing.assert_array_equal(seen(shown), 255 - values)
    np.testing.assert_array_equal(seen(sky.image), values)
    assert sky.image.name == "Sky"
    bpy.ops.weft.restore_world()
    assert scene.world == world


def test_regions_of_a_panorama(bpy: Any, link: Any, practice: Any) -> None:
    from weft_blender.tasks import TASKS

    values = np.full((64, 96, 3), 10, np.uint8)
    settings = bpy.context.scene.weft_edit_panorama
    settings.image, settings.regions = make_image(bpy, "Wide", values), 2
    for i, prompt in enumerate(("moss", "rust", "not shown"), 1):
        setattr(settings, f"prompt_{i}", prompt)
        where = np.zeros((64, 96, 3), np.uint8)
        where[:, 32 * i - 32 : 32 * i] = 255
        setattr(settings, f"mask_{i}", make_image(bpy, f"Region {i}", where))
    settings.iterations = 2
    task = TASKS["edit_panorama"]
    job = run(practice, task.parameters(settings), **task.chosen(bpy.context))
    edited = seen(settings.result)
    np.testing.assert_array_equal(edited[5, ::32], [[255, 0, 0], [0, 255, 0], [245] * 3])
    assert job.info["arrays"] == ["image", "region.0.mask", "region.1.mask"]


def test_panoramas_that_cannot_be_edited_are_refused(bpy: Any, link: Any) -> None:
    from weft_blender import job
    from weft_blender.task_edit_panorama import Region
    from weft_blender.wide_images import world_image

    wide, small = make_image(bpy, "Wide", np.zeros((64, 96, 3), np.uint8)), bpy.data.images.new("Small", 40, 80)
    absent = bpy.data.images.new("Absent", 8, 8)
    absent.source, absent.filepath = "FILE", "/absent.png"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"image": None}, "no image is chosen"),
        ({"image": small}, "'Small' has 40 × 80 px, expected 64 to"),
        ({"image": absent}, "'/absent.png' cannot be read"),
        ({"image": wide, "mask": wide}, "the mask 'Wide' is black"),
        ({"image": wide, "mask": small}, "the mask 'Small' has 40 × 80 pixels, 'Wide' has 96 × 64"),
        ({"image": wide, "regions": [Region(None)]}, "region 1 has neither a prompt nor a reference image"),
    ]
    for sources, part in cases:
        with pytest.raises(WireError, match=part) as caught:
            job.start("edit_panorama", PANORAMA, **sources)
        assert caught.value.hint
    with pytest.raises(WireError, match="there is no mask"):
        job.start("edit_panorama", EditPanoramaParams(prompt_1="moss"), image=wide, regions=[Region(None)])
    bpy.context.scene.world = bpy.data.worlds.new("Grey")
    with pytest.raises(WireError, match="the World 'Grey' shows no image"):
        world_image(bpy.context.scene)
    assert job.DESK.job is None
