"""What holds for every task: previews come and go, files find their jobs, originals stay, results are marked."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from task_scenes import NAMES, content, looks, make_scene, params_for

from weft_wire.jobs import TextureParams
from weft_wire.parameters import params_of

pytestmark = pytest.mark.blender

WITH_LOOK = tuple(name for name in NAMES if name not in ("relight", "move", "fit", "edit_panorama", "edit_video"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of scenes that were never saved go there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


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
