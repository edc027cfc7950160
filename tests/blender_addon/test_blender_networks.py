"""Networks from Blender, nothing left out: `weft serve` with tiny models of the real classes, real jobs on the CPU."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from weft_wire.jobs import IllusionParams, RetextureParams, TextureParams

pytestmark = [
    pytest.mark.blender,
    pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="diffusers is not in this environment"),
]
SMALL: dict[str, Any] = {"model": "sd15", "prompt": "old bricks", "size": 64, "steps": 4}


@pytest.fixture
def obj(bpy: Any) -> Any:
    """A cube that wears a texture."""
    from weft_blender.nodes import tree_of

    bpy.ops.mesh.primitive_cube_add()
    material = bpy.data.materials.new("Before")
    tree = tree_of(material)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new("Photo", 128, 128)
    node.image.pixels.foreach_set(np.random.default_rng(0).random(128 * 128 * 4, np.float32))
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
    bpy.context.object.data.materials.append(material)
    return bpy.context.object


@pytest.fixture(autouse=True)
def _closed(addon: Any) -> Iterator[None]:
    yield
    from weft_blender import job
    from weft_blender.link import LINK

    job.cancel()
    job.DESK.put(None)
    LINK.close()


def check_image(image: Any, **params: Any) -> None:
    """It is packed, varied, and knows how it was made."""
    pixels = np.array(image.pixels, np.float32).reshape(-1, 4)[:, :3]
    assert image.packed_file is not None
    assert np.isfinite(pixels).all()
    assert pixels.std() > 0.01
    stored = json.loads(image["weft"])
    assert {name: stored[name] for name in params} == params


def test_a_mesh_is_textured_and_the_model_unloaded(bpy: Any, obj: Any, served: Any) -> None:
    from weft_blender import job, unloading

    phases: list[str] = []
    done = job.texture_objects(
        [obj], TextureParams(texture_size=128, views=4, **SMALL), key_dir=served.key_dir, previews=True,
        on_change=lambda running: phases.append(running.phase),
    )  # fmt: skip
    assert done.state == "applied"
    assert "views" in phases
    assert "first_preview" in done.seconds, "the texture forms on the mesh"
    assert done.info["material"]["name"] == "sd15"
    assert obj.material_slots[0].material.name == "Weft Cube"
    check_image(bpy.data.images["Weft Cube"], model="sd15", prompt="old bricks", guidance=0.0)
    assert job.unload_models(key_dir=served.key_dir) == ["sd15"]
    assert unloading.UNLOADING.message.endswith(" freed: sd15")
    assert not unloading.UNLOADING.message.startswith("0 B")
    assert job.unload_models(key_dir=served.key_dir) == []


def test_a_texture_is_changed_by_a_picture_and_every_setting(bpy: Any, obj: Any, served: Any) -> None:
    from weft_blender import job
    from weft_blender.tasks import TASKS

    settings = TASKS["retexture"].settings_of(bpy.context.scene)
    wanted = {
        **SMALL, "views": 4, "strength": 0.7, "loras": "practice-lora-sd15:0.5", "checkpoint": "practice-sd15",
        "negative_prompt": "moss", "guidance": 4.0, "control": "depth:0.8@0-0.9, canny:0.5", "style_scale": 0.4,
        "synchronize": "pixels", "sync_until": 0.5, "view_attention": False,
    }  # fmt: skip
    for name, value in wanted.items():
        setattr(settings, name, value)
    before = np.array(bpy.data.images["Photo"].pixels, np.float32)
    reference = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    params = TASKS["retexture"].parameters(settings)
    done = job.run("retexture", params, objects=[obj], exemplar=reference, key_dir=served.key_dir)
    assert done.state == "applied"
    check_image(bpy.data.images["Weft Photo"], model="sd15", synchronize="pixels", view_attention=False)
    np.testing.assert_array_equal(np.array(bpy.data.images["Photo"].pixels, np.float32), before)


def test_an_edit_needs_no_more_than_an_instruction(bpy: Any, obj: Any, served: Any) -> None:
    from weft_blender import job

    params = RetextureParams(**{**SMALL, "model": "instruct-pix2pix", "prompt": "make it snow"}, views=4)
    job.run("retexture", params, objects=[obj], key_dir=served.key_dir)
    check_image(bpy.data.images["Weft Photo"], model="instruct-pix2pix")


def test_an_illusion_is_made_of_words(bpy: Any, served: Any) -> None:
    from weft_blender import job

    params = IllusionParams(model="sd15", prompt_1="a duck", prompt_2="a rabbit", size=64, steps=4)
    done = job.run("illusion", params, key_dir=served.key_dir)
    assert done.state == "applied"
    check_image(bpy.data.images["Weft Illusion"], model="sd15", prompt_2="a rabbit")


def test_the_panel_knows_the_models_that_are_there(bpy: Any, served: Any) -> None:
    from weft_blender import job
    from weft_blender.link import LINK
    from weft_blender.models import cards, lacking, suggestions
    from weft_blender.tasks import TASKS

    LINK.open("", served.key_dir)
    job.wait_for_server(30)
    while not LINK.welcome.ready:
        job.pump()
    known = cards()
    assert {"exemplar", "sd15", "sdxl", "flux2-klein"} <= {name for name, card in known.items() if card.here}
    settings = TASKS["texture"].settings_of(bpy.context.scene)
    settings.model = "sd15"
    assert lacking(TASKS["texture"], settings) == []
    assert suggestions("loras")(settings, None, "practice-lora-sd15") == ["practice-lora-sd15"]
