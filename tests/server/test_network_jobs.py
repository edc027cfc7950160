"""Networks through the whole product: a real server, a real worker, tiny models of the real classes on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from practice_servers import PATIENCE

from weft.geometry.camera import Camera, orbit
from weft_server.job_files import camera_arrays
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.events import JobResult, ProgressEvent, StateEvent
from weft_wire.jobs import (
    IllusionParams,
    PanoramaParams,
    RelightParams,
    RetextureParams,
    SplatTextureParams,
    StylizeParams,
    TextureParams,
    UnloadParams,
)
from weft_wire.keys import public_hex, read_pairing

pytest.importorskip("diffusers")
SMALL: dict[str, Any] = {"prompt": "old bricks", "size": 64, "steps": 4}
RANDOM = np.random.default_rng(0)


def quad() -> dict[str, np.ndarray]:
    """A square that faces the front, with UVs that fill its texture."""
    corners = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], np.float32)
    faces = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    uv = ((corners[:, [0, 2]] + 1) / 2)[faces].astype(np.float32)
    return {"mesh.0.vertices": corners, "mesh.0.faces": faces, "mesh.0.uv": uv}


def old() -> dict[str, np.ndarray]:
    return {**quad(), "mesh.0.texture": RANDOM.integers(0, 256, (128, 128, 3), dtype=np.uint8)}


def cloud(count: int = 400) -> dict[str, np.ndarray]:
    means = RANDOM.standard_normal((count, 3)).astype(np.float32)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return {
        "splats.means": means,
        "splats.quaternions": np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        "splats.log_scales": np.full((count, 3), np.log(0.12), np.float32),
        "splats.logits": np.full(count, 4, np.float32),
    }


def photographs(count: int = 2) -> dict[str, np.ndarray]:
    """Views of the square, with poses."""
    cameras = [Camera(orbit(20.0 * i, 10.0, 4.0), 64, 64, 90, 90, 32, 32) for i in range(count)]
    return {
        **quad(), **camera_arrays(cameras),
        "view.images": RANDOM.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8),
    }  # fmt: skip


JOBS = {
    "texture by SD1.5 and depth": (
        "texture", TextureParams(model="sd15", texture_size=128, views=4, **SMALL), quad(), "texture.0",
    ),
    "texture by SDXL and the union": (
        "texture", TextureParams(model="sdxl", control="depth, normal:0.5", texture_size=128, views=4, **SMALL), quad(),
        "texture.0",
    ),
    "texture by a flow model": (
        "texture", TextureParams(model="flux2-klein", texture_size=128, views=4, **SMALL), quad(), "texture.0",
    ),
    "retexture": ("retexture", RetextureParams(model="sd15", views=4, **SMALL), old(), "texture.0"),
    "edit by instruction": (
        "retexture", RetextureParams(model="instruct-pix2pix", views=4, **SMALL), old(), "texture.0",
    ),
    "relight": ("retexture", RetextureParams(model="ic-light", views=4, **SMALL), old(), "texture.0"),
    "panorama": (
        "panorama", PanoramaParams(model="sd15", prompt="a hall", width=256, window=64, steps=4),
        {"depth": np.linspace(2, 9, 128 * 256, dtype=np.float32).reshape(128, 256)}, "panorama",
    ),
    "illusion": (
        "illusion", IllusionParams(model="sd15", prompt_1="a village", prompt_2="an old man", size=64, steps=4), {},
        "image",
    ),
    "relit views": ("relight", RelightParams(model="ic-light", light="noon", **SMALL), photographs(), "view.images"),
    "restyled views beside a multi-view prior": (
        "stylize", StylizeParams(model="sd15", prior="seva", texture_size=128, **SMALL), photographs(3), "texture.0",
    ),
    "splats": ("splat_texture", SplatTextureParams(model="sd15", up="z", views=8, **SMALL), cloud(), "splats.dc"),
}  # fmt: skip


@pytest.fixture(scope="module")
def client(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    options = ServerOptions(
        home=tmp_path_factory.mktemp("home"), port=0, min_free_bytes=1, models=(models_folder,)
    )  # fmt: skip
    with Server(options) as server:
        pairing = read_pairing(options.home)
        assert pairing is not None
        address = f"{pairing.address}#{public_hex(pairing.server_key)}"
        with Client(address, key_dir=server.options.home / "keys", timeout=PATIENCE) as connected:
            yield connected


def done(client: Client, task: str, params: Any, arrays: dict[str, np.ndarray]) -> tuple[JobResult, list[Any]]:
    """The job's result and its events; the server keeps nothing of it."""
    job_id = client.submit(task, params, arrays)
    events = list(client.events(job_id, timeout=4 * PATIENCE))
    last = events[-1]
    assert isinstance(last, StateEvent)
    assert last.state == "succeeded", last.error
    result = client.fetch(job_id)
    client.release(job_id)
    return result, events


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_done_and_its_seed_repeats_it(client: Client, name: str) -> None:
    task, params, arrays, wanted = JOBS[name]
    (result, events), (again, _) = (done(client, task, params, arrays) for _ in range(2))
    assert result.arrays[wanted].std() > 0
    assert result.arrays[wanted].tobytes() == again.arrays[wanted].tobytes()
    painted = result.info.get("materials") or [result.info["material"]]
    assert {material["name"] for material in painted} == {params.model}
    # Of progress the latest is told: what another replaces before it is read (the last of a phase, say) never comes.
    told = [event for event in events if isinstance(event, ProgressEvent) and event.phase != "queued"]
    assert told
    for phase in {event.phase for event in told}:
        steps = [event.step for event in told if event.phase == phase]
        assert steps == sorted(set(steps)), "it only ever goes on"
    assert all(1 <= event.step <= event.total for event in told)


def test_unloaded_models_load_again(client: Client) -> None:
    task, params, arrays, wanted = JOBS["texture by SD1.5 and depth"]
    before, _ = done(client, task, params, arrays)
    freed, _ = done(client, "unload", UnloadParams("sd15"), {})
    assert freed.info["unloaded"] == ["sd15"]
    after, _ = done(client, task, params, arrays)
    assert before.arrays[wanted].tobytes() == after.arrays[wanted].tobytes()


@pytest.mark.parametrize(
    ("task", "changes", "code", "says"),
    [
        ("texture", {"model": "sd16"}, "unknown_name", "sd16"),
        ("texture", {"model": "instruct-pix2pix"}, "model_mismatch", "retexture"),
        ("texture", {"model": "sd15", "checkpoint": "../../etc"}, "invalid_input", "../../etc"),
        ("texture", {"model": "sd15", "control": "scribble"}, "invalid_input", "scribble"),
        ("texture", {"model": "sd15", "loras": "nobody:0.5"}, "unknown_name", "nobody"),
        ("texture", {"model": "sd15", "loras": "practice-lora-sdxl"}, "model_mismatch", "practice-lora-sdxl"),
    ],
)
def test_what_cannot_be_done_is_refused_at_submit(
    client: Client, task: str, changes: dict[str, Any], code: str, says: str
) -> None:
    params = TextureParams(**{**SMALL, "texture_size": 128, **changes})
    with pytest.raises(WireError) as caught:
        client.submit(task, params, quad())
    assert "\n" not in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.code == code
    assert caught.value.hint
