"""A job's life in Blender, against a real server process: texture, refuse, cancel, reload, crash."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import TextureParams

pytestmark = pytest.mark.blender


@pytest.fixture
def obj(bpy: Any) -> Any:
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.object.data.materials.append(bpy.data.materials.new("Before"))
    return bpy.context.object


def params(prompt: str = "stone", **values: Any) -> TextureParams:
    return TextureParams(**{"prompt": prompt, "texture_size": 128, "steps": 4, **values})


def worn(obj: Any) -> str:
    return obj.material_slots[0].material.name


def test_objects_wear_their_textures(bpy: Any, obj: Any, link: Any, practice: Any) -> None:
    from weft_blender.job import texture_objects

    bpy.ops.mesh.primitive_uv_sphere_add()
    ball, phases = bpy.context.object, []
    job = texture_objects(
        [obj, ball], params(seed=7), key_dir=practice.key_dir, previews=True, on_change=lambda j: phases.append(j.phase)
    )
    assert job.state == "applied"
    assert "denoising" in phases
    assert {"export", "first_preview", "total"} <= set(job.seconds)
    assert any("practice" in warning for warning in job.warnings)
    for item in (obj, ball):
        image = bpy.data.images[f"Weft {item.name}"]
        assert worn(item) == image.name
        assert tuple(image.size) == (128, 128)
        assert image.packed_file is not None
        stored = json.loads(image["weft"])
        assert (stored["prompt"], stored["seed"], stored["object"]) == ("stone", 7, item.name)
        assert stored["info"]["material"]["name"] == "practice"
    assert bpy.data.materials["Before"].users
    assert "weft_before" not in obj


def test_refusal_is_one_line_and_changes_nothing(obj: Any, link: Any, practice: Any) -> None:
    from weft_blender.job import texture_objects

    with pytest.raises(WireError) as caught:
        texture_objects([obj], params("refuse"), key_dir=practice.key_dir)
    assert str(caught.value) == "no material is called 'refuse' (try 'stone')"
    assert worn(obj) == "Before"


def test_worker_that_dies_is_told(obj: Any, link: Any, practice: Any) -> None:
    from weft_blender.job import texture_objects

    with pytest.raises(WireError) as caught:
        texture_objects([obj], params("die"), key_dir=practice.key_dir)
    assert "\n" not in str(caught.value)
    assert worn(obj) == "Before"


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"prompt": "  "}, "neither a prompt nor a reference image"),
        ({"size": 63}, "size must be 0 or between 64 and 1024"),
        ({"size": 100_000}, "size must be 0 or between 64 and 1024"),
        ({"texture_size": 100_000}, "texture_size must be between"),
        ({"cameras": "scene"}, "no perspective camera"),
    ],
)
def test_bad_settings_never_leave(obj: Any, link: Any, values: dict[str, Any], part: str) -> None:
    from weft_blender import job

    with pytest.raises(WireError, match=part) as caught:
        job.start("texture", params(**values), objects=[obj])
    assert caught.value.hint
    assert job.DESK.job is None


def test_cancel_gives_the_looks_back(bpy: Any, obj: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job

    mine = job.start("texture", params("wait", steps=100), objects=[obj])
    pump_until(lambda: worn(obj) != "Before")
    with pytest.raises(WireError, match="already being made"):
        job.start("texture", params(), objects=[obj])
    job.cancel()
    pump_until(lambda: mine.ended)
    assert mine.state == "cancelled"
    assert worn(obj) == "Before"
    assert not bpy.data.images


def test_cancel_before_anything_arrived(obj: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job

    mine = job.start("texture", params("wait", steps=100), objects=[obj])
    job.cancel()
    pump_until(lambda: mine.ended)
    assert mine.state == "cancelled"


@pytest.mark.parametrize("saved_during_job", [True, False])
def test_reloaded_file_finds_its_job(
    bpy: Any, obj: Any, link: Any, tmp_path: Path, saved_during_job: bool, pump_until: Any
) -> None:
    from weft_blender import job

    name, path = obj.name, str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    mine = job.start("texture", params("wait", steps=4), objects=[obj])
    pump_until(lambda: worn(obj) != "Before")
    if saved_during_job:
        bpy.ops.wm.save_mainfile()
        bpy.ops.wm.read_homefile(use_empty=True)
        assert job.DESK.job is None
    bpy.ops.wm.open_mainfile(filepath=path)
    again = job.DESK.job
    assert again is not None
    assert again is not mine
    assert again.id == mine.id
    pump_until(lambda: again.ended)
    assert again.state == "applied"
    assert worn(bpy.data.objects[name]) == f"Weft {name}"
    assert "weft_job" in bpy.context.scene or not saved_during_job
    bpy.ops.wm.save_mainfile()
    assert "weft_job" not in bpy.context.scene


def test_file_of_a_forgotten_job_looks_as_before(
    bpy: Any, obj: Any, link: Any, tmp_path: Path, pump_until: Any
) -> None:
    from weft_blender import job

    name, path = obj.name, str(tmp_path / "scene.blend")
    mine = job.start("texture", params("wait", steps=100), objects=[obj])
    pump_until(lambda: worn(obj) != "Before")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    job.cancel()
    pump_until(lambda: mine.ended)
    link.session.release(mine.id)
    bpy.ops.wm.open_mainfile(filepath=path)
    again = job.DESK.job
    assert again is not None
    pump_until(lambda: again.ended)
    assert worn(bpy.data.objects[name]) == "Before"


@pytest.mark.parametrize("text", ["no json", "[]", '{"id": 3}', '{"id": "a", "targets": [1], "params": {}}'])
def test_damaged_record_is_ignored(bpy: Any, obj: Any, link: Any, tmp_path: Path, text: str) -> None:
    from weft_blender import handlers, job

    bpy.context.scene[handlers.RECORD] = text
    handlers.recall()
    assert job.DESK.job is None


def test_job_without_a_server_can_be_cancelled(bpy: Any, addon: ModuleType, obj: Any, tmp_path: Path) -> None:
    """A file whose job nobody can be asked about does not lock the button."""
    from weft_blender import handlers, job
    from weft_blender.link import LINK

    LINK.open("", str(tmp_path / "keys"))
    bpy.context.scene[handlers.RECORD] = json.dumps({"id": "abc", "targets": [], "params": {}})
    handlers.recall()
    assert job.working() == "abc"
    job.cancel()
    assert job.working() == ""
    LINK.close()


def test_defect_ends_the_job_not_the_timer(bpy: Any, obj: Any, link: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft_blender import handlers, job
    from weft_blender.tasks import TASKS

    def broken(*_: Any) -> bool:
        raise ZeroDivisionError("a defect")

    mine = job.start("texture", params("stream", steps=10), objects=[obj])
    monkeypatch.setattr(TASKS["texture"], "show_preview", broken)
    deadline = time.monotonic() + 60
    while not mine.ended and time.monotonic() < deadline:
        assert handlers.tick() > 0
        time.sleep(0.01)
    assert str(mine.error) == "ZeroDivisionError: a defect (this is a defect of the add-on: please report it)"


def test_vanished_object_loses_nothing(bpy: Any, obj: Any, link: Any, pump_until: Any) -> None:
    from weft_blender import job

    mine, name = job.start("texture", params("stream"), objects=[obj]), obj.name
    pump_until(lambda: worn(obj) != "Before")
    bpy.data.objects.remove(obj)
    pump_until(lambda: mine.ended)
    assert mine.state == "applied"
    assert any(f"'{name}' is gone" in warning for warning in mine.warnings)
    assert bpy.data.images[f"Weft {name}"].packed_file is not None


def test_absent_server_is_one_line(addon: ModuleType, obj: Any, tmp_path: Path) -> None:
    from weft_blender.job import texture_objects
    from weft_blender.link import LINK

    with pytest.raises(WireError, match="weft serve") as caught:
        texture_objects([obj], params(), key_dir=str(tmp_path / "keys"), patience=0.5)
    assert caught.value.code == "server_absent"
    assert "\n" not in str(caught.value)
    LINK.close()


@pytest.mark.parametrize("address", ["no address!", "localhost:99999"])
def test_unreadable_address_is_one_line(addon: ModuleType, obj: Any, address: str) -> None:
    from weft_blender.job import texture_objects

    with pytest.raises(WireError) as caught:
        texture_objects([obj], params(), address=address)
    assert caught.value.code == "bad_address"


def test_server_killed_in_mid_job_finishes_after_its_return(
    obj: Any, link: Any, practice: Any, pump_until: Any
) -> None:
    from weft_blender import job

    mine = job.start("texture", params("wait", steps=5), objects=[obj])
    pump_until(lambda: worn(obj) != "Before")
    practice.kill()
    pump_until(lambda: not link.connected)
    assert link.error is not None
    practice.start()
    pump_until(lambda: mine.ended)
    assert mine.state == "applied"
