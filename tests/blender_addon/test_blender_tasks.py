"""What holds for every task: previews come and go, files find their jobs, originals stay, results are marked."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.jobs import (
    EditPanoramaParams,
    EditSceneParams,
    EditVideoParams,
    FitParams,
    IllusionParams,
    MoveParams,
    PanoramaParams,
    RelightParams,
    RetextureParams,
    SplatTextureParams,
    StylizeParams,
    TextureParams,
)
from weft_wire.parameters import params_of

pytestmark = pytest.mark.blender

VIEWS = ("relight", "stylize", "move")
EDITS = ("edit_panorama", "edit_video", "fit", "edit_scene")
NAMES = ("texture", "retexture", "panorama", "illusion", "splat_texture", *VIEWS, *EDITS)
WITH_LOOK = tuple(name for name in NAMES if name not in ("relight", "move", "fit", "edit_panorama", "edit_video"))
SPLATS = ("opacity", *(f"{kind}_{i}" for kind, n in (("f_dc", 3), ("scale", 3), ("rot", 4)) for i in range(n)))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of scenes that were never saved go there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def make_scene(bpy: Any, task: str) -> tuple[Any, dict[str, Any]]:
    """(the object that is worked on, what the task's `collect` takes)."""
    from weft_blender.nodes import tree_of

    if task in ("splat_texture", "edit_scene"):
        mesh = bpy.data.meshes.new("Splats")
        mesh.from_pydata(np.random.default_rng(0).random((1500, 3)).tolist(), [], [])
        for name in SPLATS:
            mesh.attributes.new(name, "FLOAT", "POINT").data.foreach_set("value", np.full(1500, 0.5, np.float32))
        obj = bpy.data.objects.new("Splats", mesh)
        bpy.context.collection.objects.link(obj)
    else:
        bpy.ops.mesh.primitive_cube_add()
        obj = bpy.context.object
        material = bpy.data.materials.new("Before")
        tree = tree_of(material)
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.new("Photo", 64, 64)
        surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
        obj.data.materials.append(material)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("Before")
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    sources: dict[str, Any] = {"panorama": {"as_world": True}, "illusion": {}}.get(task, {"objects": [obj]})
    if task == "relight":
        sources["light"] = bpy.data.images.new("Light", 8, 4, float_buffer=True)
        sources["light"].pixels.foreach_set(np.ones(8 * 4 * 4, np.float32))
        sources["light"].pack()  # or what it holds would not be saved
        sources["light"].use_fake_user = True
    elif task == "move":
        sources["translate"] = (1, 0, 0)
    elif task in ("edit_panorama", "edit_video", "fit"):
        sources = {"edit_panorama": {"image": bpy.data.images["Photo"]}, "fit": {}, "edit_video": {}}[task]
        if task == "fit":
            add_photographs(bpy)
        elif task == "edit_video":
            sources["source"] = image_sequence(bpy)
    return obj, sources


def add_photographs(bpy: Any) -> None:
    """Two cameras that show the image Photo."""
    for place in (1, 2):
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        camera.location.x = place
        camera.data.background_images.new().image = bpy.data.images["Photo"]
        bpy.context.scene.collection.objects.link(camera)


def image_sequence(bpy: Any) -> Any:
    """Three frames, as a movie clip, of which images tell nothing."""
    from weft_blender.pixels import encode_png

    folder = Path(tempfile.mkdtemp())
    for number in range(1, 4):
        (folder / f"frame_{number}.png").write_bytes(encode_png(np.full((32, 40, 3), 60 * number, np.uint8)))
    return bpy.data.movieclips.load(str(folder / "frame_1.png"))


def params_for(task: str, prompt: str, steps: int = 4) -> Any:
    match task:
        case "texture":
            return TextureParams(prompt=prompt, steps=steps, texture_size=128)
        case "retexture":
            return RetextureParams(prompt=prompt, steps=steps)
        case "panorama":
            return PanoramaParams(prompt=prompt, steps=steps, width=256)
        case "illusion":
            return IllusionParams(prompt_1=prompt, prompt_2="a duck", steps=steps, size=64)
        case "relight":
            return RelightParams(prompt=prompt, steps=steps, size=64, views=2)
        case "stylize":
            return StylizeParams(prompt=prompt, steps=steps, size=64, views=2)
        case "move":
            return MoveParams(prompt=prompt, steps=steps, size=64, views=2, object="Cube")
        case "edit_panorama":
            return EditPanoramaParams(prompt=prompt, iterations=steps)
        case "edit_video":
            return EditVideoParams(prompt=prompt, iterations=steps)
        case "fit":
            return FitParams(steps=steps)
        case "edit_scene":
            return EditSceneParams(prompt=prompt, iterations=steps)
    return SplatTextureParams(prompt=prompt, steps=steps)


def looks(bpy: Any) -> dict[str, Any]:
    """Everything that a job may cover or add."""
    data = bpy.data
    return {
        "objects": {
            obj.name: (
                obj.data.name if obj.data else "",
                [(slot.link, slot.material and slot.material.name) for slot in obj.material_slots],
                [modifier.name for modifier in obj.modifiers],
            )
            for obj in data.objects
        },
        "world": bpy.context.scene.world and bpy.context.scene.world.name,
        **{kind: sorted(getattr(data, kind).keys()) for kind in ("images", "materials", "meshes", "worlds")},
    }


def content(bpy: Any) -> dict[str, bytes]:
    """Bytes of all images and attributes of numbers."""
    found = {}
    for image in bpy.data.images:
        found[image.name] = np.array(image.pixels, np.float32).tobytes()
    for mesh in bpy.data.meshes:
        for attribute in mesh.attributes:
            if attribute.data_type == "FLOAT":
                values = np.empty(len(attribute.data), np.float32)
                attribute.data.foreach_get("value", values)
                found[f"{mesh.name}.{attribute.name}"] = values.tobytes()
    return found


def covered(bpy: Any, before: dict[str, Any]) -> bool:
    """Whether a preview can be seen, apart from what the display of splats adds."""
    return looks(bpy) != before


@pytest.mark.parametrize("task", NAMES)
def test_cancel_leaves_everything_as_it_was(bpy: Any, link: Any, pump_until: Any, task: str) -> None:
    from weft_blender import job

    _, sources = make_scene(bpy, task)
    before, bits = looks(bpy), content(bpy)
    mine = job.start(task, params_for(task, "stream", 200), **sources)
    pump_until(lambda: covered(bpy, before))
    job.cancel()
    pump_until(lambda: mine.ended)
    assert mine.state == "cancelled"
    after = looks(bpy)
    after["materials"] = [name for name in after["materials"] if name != "Weft Splats"]  # shared by all splats
    assert after == before
    assert content(bpy) == bits


@pytest.mark.parametrize("task", NAMES)
def test_result_is_finished_and_originals_stay(bpy: Any, link: Any, practice: Any, task: str, tmp_path: Path) -> None:
    from weft_blender import handlers
    from weft_blender.before import BEFORE, restore
    from weft_blender.job import run
    from weft_blender.tags import PARAMETERS

    _, sources = make_scene(bpy, task)
    bits = content(bpy)
    job = run(task, params_for(task, "stone"), key_dir=practice.key_dir, previews=True, **sources)
    assert job.state == "applied"
    done = looks(bpy)
    restore()
    handlers.after_undo()
    assert looks(bpy) == done, "nothing of a result is taken off"
    now = content(bpy)
    assert {name: now[name] for name in bits} == bits
    items = [*bpy.data.images, *bpy.data.meshes]
    finished = [json.loads(item[PARAMETERS]) for item in items if PARAMETERS in item]
    assert finished
    assert {(entry["task"], entry["job"]) for entry in finished} == {(task, job.id)}
    assert not any(BEFORE in item for item in (*bpy.data.objects, *bpy.data.scenes, *bpy.data.images))
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert looks(bpy) == done, "originals and results survive saving"
    saved = content(bpy)
    assert {name: saved[name] for name in bits} == bits


@pytest.mark.parametrize("task", NAMES)
def test_reloaded_file_finds_its_job(bpy: Any, link: Any, pump_until: Any, task: str, tmp_path: Path) -> None:
    from weft_blender import job

    _, sources = make_scene(bpy, task)
    before = looks(bpy)
    mine = job.start(task, params_for(task, "stream", 12), **sources)
    pump_until(lambda: covered(bpy, before))
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    again = job.DESK.job
    assert again is not None
    assert again is not mine
    assert (again.id, again.task.name) == (mine.id, task)
    pump_until(lambda: again.ended)
    assert again.state == "applied"
    assert not again.warnings or all("practice" in warning for warning in again.warnings)


def test_record_without_a_task_is_a_texture(addon: Any) -> None:
    from weft_blender.desk import Job

    job = Job.from_record({"id": "a", "targets": [{"object": "Cube", "layer": "UVMap"}], "params": {}})
    assert (job.task.name, job.targets[0].object) == ("texture", "Cube")
    assert Job.from_record(json.loads(json.dumps(job.record()))).targets == job.targets


@pytest.mark.parametrize("task", NAMES)
def test_panel_offers_what_the_wire_declares(bpy: Any, task: str) -> None:
    from weft_blender.tasks import TASKS

    chosen = TASKS[task]
    settings = chosen.settings_of(bpy.context.scene)
    params = chosen.parameters(settings)
    declared = {field.name: field.default for field, _, _ in params_of(chosen.declaration.params)}
    if task == "illusion":
        declared["prompt_3"] = ""
    assert {name: getattr(params, name) for name in declared} == pytest.approx(declared)
    known = {*declared, *chosen.extras}
    assert {name for name, _ in (*chosen.rows, *chosen.more)} <= known


@pytest.mark.parametrize("task", WITH_LOOK)
def test_button_without_a_look_is_refused_in_one_line(
    bpy: Any, link: Any, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weft_blender import handlers, job

    monkeypatch.setattr(handlers, "connect", lambda: None)  # the preferences name another server
    obj, _ = make_scene(bpy, task)
    obj.select_set(True)
    settings = getattr(bpy.context.scene, "weft" if task == "texture" else f"weft_{task}")
    assert not getattr(settings, "prompt", getattr(settings, "prompt_1", ""))
    with pytest.raises(RuntimeError, match="neither a prompt nor a reference image"):
        getattr(bpy.ops.weft, task)()
    assert job.DESK.job is None
    assert job.DESK.complaint is not None
    assert "\n" not in str(job.DESK.complaint)


def test_unknown_task_is_one_line(bpy: Any, link: Any) -> None:
    from weft_blender import job
    from weft_blender.errors import SceneError

    with pytest.raises(SceneError, match="there is no task 'sculpt'"):
        job.start("sculpt", TextureParams(prompt="stone"))
