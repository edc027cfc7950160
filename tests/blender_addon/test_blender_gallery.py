"""Galleries in Blender, against a real server process: variants come, stay, are worn, kept, and gone on from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from task_scenes import NAMES, content, looks, make_scene, params_for

from weft_wire.errors import WireError
from weft_wire.jobs import TextureParams
from weft_wire.jobs.variants import MOST, rho_of, rho_range

pytestmark = pytest.mark.blender

WITH_VARIANTS = tuple(name for name in NAMES if name not in ("fit", "stylize"))  # which is as relight


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of scenes that were never saved go there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def params(prompt: str = "amble", variants: int = 3, **values: Any) -> TextureParams:
    return TextureParams(**{"prompt": prompt, "texture_size": 128, "steps": 4, "variants": variants, **values})


@pytest.fixture
def obj(bpy: Any) -> Any:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.data.materials.append(bpy.data.materials.new("Before"))
    return bpy.context.object


def the_gallery() -> Any:
    """The latest of the file."""
    from weft_blender.gallery import galleries

    return list(galleries().values())[-1]


def worn_number() -> int:
    """Of the latest gallery; 0 if none is worn."""
    variant = the_gallery().worn
    return variant.number if variant else 0


def pixels(item: Any) -> np.ndarray:
    """An image's pixels, the file of a sequence's first frame, or the colours of splats."""
    if getattr(item, "source", "") == "SEQUENCE":
        return np.frombuffer(Path(item.filepath).read_bytes(), np.uint8)
    if hasattr(item, "pixels"):
        return np.array(item.pixels, np.float32)
    values = np.empty(len(item.vertices), np.float32)
    item.attributes["f_dc_0"].data.foreach_get("value", values)
    return values


@pytest.mark.parametrize("task", WITH_VARIANTS)
def test_every_variant_stays_and_can_be_worn(bpy: Any, link: Any, practice: Any, task: str, pump_until: Any) -> None:
    from dataclasses import replace

    from weft_blender import job
    from weft_blender.gallery import galleries
    from weft_blender.thumbnails import picture_of

    _, sources = make_scene(bpy, task)
    bits = content(bpy)
    done = job.run_gallery(task, replace(params_for(task, "amble"), variants=2), key_dir=practice.key_dir, **sources)
    assert [(one.state, one.number) for one in done] == [("applied", 1), ("applied", 2)]
    (gallery,) = galleries().values()
    assert list(gallery.variants) == [1, 2]
    assert worn_number() == 2
    pictures = [picture_of(variant.items[0]) for variant in gallery.variants.values()]
    assert len({picture.tobytes() for picture in pictures if picture is not None}) == 2
    firsts = [pixels(variant.items[0]) for variant in gallery.variants.values()]
    assert not np.array_equal(firsts[0], firsts[1])
    once = looks(bpy)
    for number in (1, 2):
        job.choose(gallery.variants[number].job)
        assert worn_number() == number
    again = looks(bpy)
    assert {kind: again[kind] for kind in ("images", "meshes", "world")} == {
        kind: once[kind] for kind in ("images", "meshes", "world")
    }
    assert again["materials"] == once["materials"], "changing variants makes no new materials"
    assert again["worlds"] == once["worlds"]
    job.start_like(gallery.variants[2], 2, 0.0)
    pump_until(lambda: not job.working())
    assert worn_number() == 2
    assert the_gallery().variants[1].job == gallery.variants[2].job
    first, second = gallery.variants[2].parameters["params"], the_gallery().variants[2].parameters["params"]
    assert {**first, "correlation": "0"} == second
    assert len(bpy.data.materials) == len(once["materials"]), "nor does another gallery"
    now = content(bpy)
    assert {name: now[name] for name in bits} == bits, "originals stay"


def test_what_was_changed_in_the_material_stays(bpy: Any, obj: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job
    from weft_blender.nodes import tree_of

    def roughness() -> Any:
        tree = tree_of(obj.material_slots[0].material)
        return next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Roughness"]

    job.start_gallery("texture", params(), objects=[obj])
    pump_until(lambda: len(job.DESK.done) == 1)
    job.DESK.preparing.clear()
    material = obj.material_slots[0].material
    roughness().default_value = 0.25
    pump_until(lambda: not job.working())
    assert worn_number() == 3
    assert obj.material_slots[0].material == material
    assert roughness().default_value == 0.25
    assert [item.name for item in bpy.data.materials if item.get("weft_job")] == [material.name]


def test_chosen_variant_stays_on_while_others_form(obj: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job

    job.start_gallery("texture", params(variants=4), objects=[obj])
    pump_until(lambda: len(job.DESK.done) == 2)
    job.choose(job.DESK.done[0].id)
    seen = set()

    def over() -> bool:
        seen.add(worn_number())
        return not job.working()

    pump_until(over)
    assert seen == {1}
    assert list(the_gallery().variants) == [1, 2, 3, 4]


def test_cancel_keeps_what_is_done(bpy: Any, obj: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job

    job.start_gallery("texture", params("wait", variants=3), objects=[obj])
    pump_until(lambda: len(job.DESK.done) == 1)
    second = job.DESK.job
    assert second is not None
    job.cancel()
    pump_until(lambda: not job.working())
    assert second.state == "cancelled"
    assert list(the_gallery().variants) == [1]
    assert worn_number() == 1
    assert len(bpy.data.images) == 1
    assert "weft_before" not in obj


def test_refusal_of_the_first_sends_no_other(obj: Any, link: Any) -> None:
    from weft_blender import job

    job.start_gallery("texture", params("refuse"), objects=[obj])
    with pytest.raises(WireError, match="no material is called 'refuse'"):
        job.wait_for_end(5)
    assert not job.DESK.running()
    assert obj.material_slots[0].material.name == "Before"


@pytest.mark.parametrize("when", ["saved during", "saved before"])
def test_reloaded_file_gets_all_variants(
    bpy: Any, obj: Any, link: Any, tmp_path: Path, when: str, pump_until: Any
) -> None:
    from weft_blender import job
    from weft_blender.thumbnails import BACKGROUND, picture_of

    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    job.start_gallery("texture", params(variants=3), objects=[obj])
    pump_until(lambda: len(job.DESK.done) == 1)
    if when == "saved during":
        bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not job.DESK.running()
    job.DESK.inputs.clear()  # as when Blender is started anew
    bpy.ops.wm.open_mainfile(filepath=path)
    assert [one.number for one in job.DESK.running()] == ([2, 3] if when == "saved during" else [1, 2, 3])
    pump_until(lambda: not job.working())
    assert list(the_gallery().variants) == [1, 2, 3]
    assert worn_number() == 3
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert list(the_gallery().variants) == [1, 2, 3], "also what nothing wears"
    for variant in the_gallery().variants.values():
        picture = picture_of(variant.items[0])
        assert picture is not None
        assert picture[0, 0].tolist() == [BACKGROUND] * 3, "the server's picture, in a square"


@pytest.mark.parametrize("task", ["texture", "splat_texture"])
def test_deleted_object_loses_no_variant(bpy: Any, link: Any, pump_until: Any, task: str) -> None:
    from dataclasses import replace

    from weft_blender import job

    obj, sources = make_scene(bpy, task)
    job.start_gallery(task, replace(params_for(task, "amble"), variants=3), **sources)
    pump_until(lambda: len(job.DESK.done) == 1)
    bpy.data.objects.remove(obj)
    pump_until(lambda: not job.working())
    assert job.DESK.job is not None
    assert any("is gone" in warning for warning in job.DESK.job.warnings)
    assert list(the_gallery().variants) == [1, 2, 3]
    with pytest.raises(WireError, match="is gone"):
        job.choose(the_gallery().variants[2].job)


def test_lost_server_comes_back_and_the_rest_follows(obj: Any, link: Any, practice: Any, pump_until: Any) -> None:
    from weft_blender import job

    job.start_gallery("texture", params(variants=3), objects=[obj])
    pump_until(lambda: len(job.DESK.done) == 1)
    practice.kill()
    pump_until(lambda: not link.connected)
    assert list(the_gallery().variants) == [1]
    practice.start()
    pump_until(lambda: not job.working())
    assert list(the_gallery().variants) == [1, 2, 3]


def test_others_are_removed_and_favourites_kept(bpy: Any, obj: Any, link: Any, practice: Any) -> None:
    from weft_blender import job
    from weft_blender.gallery import variant_of

    job.run_gallery("texture", params(variants=4), key_dir=practice.key_dir, objects=[obj])
    variants = the_gallery().variants
    bpy.ops.weft.star_variant(job=variants[2].job)
    assert variant_of(variants[2].job).favourite
    used = bpy.data.materials.new("Mine")
    used["image"] = variants[3].items[0]
    bpy.ops.weft.wear_variant(job=variants[1].job)
    bpy.ops.weft.remove_others()
    assert list(the_gallery().variants) == [1, 2, 3], "worn, favourite, used elsewhere; 4 is gone"
    assert worn_number() == 1
    assert len(bpy.data.images) == 3
    bpy.ops.weft.star_variant(job=the_gallery().variants[2].job)
    del used["image"]
    bpy.ops.weft.remove_others()
    assert list(the_gallery().variants) == [1]
    assert [item.name for item in bpy.data.materials] == ["Before", "Mine", obj.material_slots[0].material.name]


def test_more_like_this_goes_on_from_the_worn_one(
    bpy: Any, obj: Any, link: Any, practice: Any, pump_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weft_blender import handlers, job
    from weft_blender.gallery import correlation, galleries

    monkeypatch.setattr(handlers, "connect", lambda: None)  # the preferences name another server
    job.run_gallery("texture", params(variants=3, seed=7), key_dir=practice.key_dir, objects=[obj])
    first = the_gallery()
    bpy.ops.weft.wear_variant(job=first.variants[2].job)
    bpy.context.scene.weft_likeness = 0.5
    bpy.ops.weft.more_like_this()
    assert [one.number for one in job.DESK.running()] == [2, 3]
    pump_until(lambda: not job.working())
    assert len(galleries()) == 2
    second = the_gallery()
    assert second.variants[1].job == first.variants[2].job
    for number in (2, 3):
        stored = second.variants[number].parameters
        assert stored["info"]["variant"]["anchor"] == [0, 1, 0], "the row of the one that was worn"
        assert float(stored["correlation"]) == pytest.approx(correlation(0.5, 3)) == 0.25
        assert (stored["seed"], stored["prompt"]) == (7, "amble")
    bpy.ops.weft.wear_variant(job=second.variants[1].job)
    bpy.ops.weft.more_different()
    pump_until(lambda: not job.working())
    third = the_gallery().variants[2].parameters
    assert float(third["correlation"]) == pytest.approx(-1 / 2)
    assert third["info"]["variant"]["anchor"] == [0, 1, 0, 0, 0], "other noises than the second gallery's follow"
    assert len(bpy.data.materials) == 2


def test_inputs_are_collected_again_only_where_they_are_the_same(
    bpy: Any, obj: Any, link: Any, practice: Any, pump_until: Any
) -> None:
    """As after Blender was started anew."""
    from weft_blender import job

    job.run_gallery("texture", params(variants=2), key_dir=practice.key_dir, objects=[obj])
    variant = the_gallery().worn
    job.DESK.inputs.clear()
    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(WireError, match="made of Cube"):
        job.start_like(variant, 2, 0.5, objects=[bpy.context.object])
    job.start_like(variant, 2, 0.5, objects=[obj])
    pump_until(lambda: not job.working())
    assert worn_number() == 2
    job.run_gallery("retexture", params_of_retexture(), key_dir=practice.key_dir, objects=[obj])
    job.DESK.inputs.clear()
    with pytest.raises(WireError, match="until Blender ends"):
        job.start_like(the_gallery().worn, 2, 0.5, objects=[obj])


def params_of_retexture() -> Any:
    from weft_wire.jobs import RetextureParams

    return RetextureParams(prompt="stone", steps=4, variants=2)


@pytest.mark.parametrize("count", range(2, MOST + 1))
def test_slider_spans_all_that_so_many_noises_can_have(addon: Any, count: int) -> None:
    from weft_blender.gallery import correlation

    low, high = rho_range(count)
    assert [correlation(t, count) for t in (0, 0.5, 1)] == pytest.approx([low, (low + high) / 2, high])
    for likeness in (0, 1):
        text = f"{correlation(likeness, count):.9g}"  # as it is sent
        assert rho_of(count, text) == pytest.approx((low, high)[likeness])


def test_real_variants_differ(bpy: Any, obj: Any, server: Any) -> None:
    from weft_blender import job
    from weft_blender.link import LINK

    values = params("brick", variants=2, size=64, views=4)
    job.run_gallery("texture", values, key_dir=server.key_dir, patience=60, objects=[obj])
    one, two = the_gallery().variants.values()
    assert np.abs(pixels(two.items[0]) - pixels(one.items[0])).mean() > 0.005
    assert [one.row[0], two.row[0]] == pytest.approx([1, -1]), "two variants are each other's negatives"
    job.DESK.put(None)
    LINK.close()


def test_strip_has_a_button_and_a_star_for_each_variant(bpy: Any, obj: Any, link: Any, practice: Any) -> None:
    """Drawn onto a layout that takes everything: the names of icons and of arguments are Blender's own to refuse."""
    from weft_blender import job
    from weft_blender.gallery_panel import WEFT_PT_gallery

    assert not WEFT_PT_gallery.poll(bpy.context)
    job.run_gallery("texture", params(variants=3), key_dir=practice.key_dir, objects=[obj])
    bpy.context.scene.weft.variants = 5
    bpy.context.scene.weft_likeness = 1
    assert WEFT_PT_gallery.poll(bpy.context)
    layout = MagicMock()
    WEFT_PT_gallery.draw_rows(MagicMock(), layout, bpy.context)
    calls = [(call.args, call.kwargs) for call in layout.mock_calls]
    drawn = [(args[0], options.get("text")) for args, options in calls if args and str(args[0]).startswith("weft.")]
    strip = [row for number in "123" for row in (("weft.wear_variant", number), ("weft.star_variant", ""))]
    buttons = ("weft.remove_others", "weft.more_like_this", "weft.more_different")
    assert drawn == [*strip, *((button, None) for button in buttons)]
    assert [options["depress"] for args, options in calls if args == ("weft.wear_variant",)] == [False, False, True]
    assert "ρ = 1.00 (from -0.25 to 1)" in [options.get("text") for _, options in calls]
    known = set(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys())
    assert {options["icon"] for _, options in calls if "icon" in options} <= known
