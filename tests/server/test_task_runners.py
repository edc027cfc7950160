"""What the worker hands to the science: arguments that its functions have, arrays in the types that they expect."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from weft.spaces.illusion import VIEW_NAMES
from weft_server import variants
from weft_server.networks import NAMES
from weft_server.received import Received
from weft_server.tasks import RENAMED, RUNNERS, as_declared
from weft_wire.arrays import dtype_name
from weft_wire.jobs import ILLUSION, RETEXTURE, SPLAT_TEXTURE, TASKS
from weft_wire.jobs.illusion import VIEWS
from weft_wire.parameters import params_of

BYTES = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


def test_every_task_of_the_wire_is_done() -> None:
    assert list(RUNNERS) == list(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_the_arguments_are_those_of_the_science(name: str) -> None:
    runner = RUNNERS[name]
    science = inspect.signature(runner.function).parameters
    names = {field.name for field, _, _ in params_of(TASKS[name].params)}
    assert runner.takes_network == (names >= NAMES)
    names = (names - NAMES) | {"network"} if runner.takes_network else names
    names -= variants.NAMES if TASKS[name].has_variants else set()
    wished = {RENAMED.get(name, name) for name in names}
    assert not wished & set(runner.inputs)
    assert wished | set(runner.inputs) <= set(science)
    assert {key for key, value in science.items() if value.default is value.empty} <= wished | set(runner.inputs)


def test_the_views_of_an_illusion_are_those_of_the_science() -> None:
    assert set(VIEWS) == set(VIEW_NAMES)


def test_objects_arrive_with_what_belongs_to_them() -> None:
    arrays = {
        "mesh.0.vertices": np.zeros((4, 3), "f4"),
        "mesh.0.faces": np.zeros((2, 3), "i4"),
        "mesh.0.texture": BYTES,
        "mesh.0.mask": BYTES[..., 0],
        "mesh.1.vertices": np.ones((4, 3), "f4"),
        "mesh.1.faces": np.zeros((3, 3), "i4"),
        "mesh.1.uv": np.ones((3, 3, 2), "f4"),
        "mesh.1.texture": BYTES[:, :16],
        "mesh.1.selected": np.array([0, 1, 255], "u1"),
    }
    received = Received(arrays, ["kugel ö"])
    first, second = received.meshes()
    assert (first.name, second.name) == ("kugel ö", "object 1")
    assert first.corner_uv is None
    assert second.corner_uv is arrays["mesh.1.uv"]
    textures = received.textures()
    assert [texture.dtype for texture in textures] == [np.float32, np.float32]
    back = as_declared(RETEXTURE, {f"texture.{i}": texture for i, texture in enumerate(textures)})
    assert np.array_equal(back["texture.0"], BYTES)
    mask, no_mask = received.masks()
    assert no_mask is None
    assert mask is not None
    assert mask.dtype == bool
    assert np.array_equal(mask, BYTES[..., 0] != 0)
    nothing, selected = received.selections()
    assert nothing is None
    assert selected is not None
    assert selected.tolist() == [False, True, True]


def test_what_was_not_sent_is_none() -> None:
    received = Received({}, [])
    assert (received.exemplar(), received.depth(), received.viewpoint()) == (None, None, None)
    assert received.exemplars() == [None, None, None]
    assert (received.meshes(), received.cameras(), received.masks()) == ([], [], [])


def test_exemplars_keep_their_places() -> None:
    first, second, third = Received({"exemplar.1.image": BYTES}, []).exemplars()
    assert first is None
    assert third is None
    assert second is not None
    assert np.array_equal(as_declared(ILLUSION, {"image": second})["image"], BYTES)


def test_no_distance_is_the_sky() -> None:
    depth = Received({"depth": np.array([[1.5, 0], [-1, 3e38]], "f4")}, []).depth()
    assert depth is not None
    assert depth.dtype == np.float32
    assert depth.tolist() == [[1.5, np.inf], [np.inf, float(np.float32(3e38))]]


def test_cameras_come_in_pixels() -> None:
    intrinsics = np.array([[100, 110, 31.5, 24, 64, 48]], "f4")
    (camera,) = Received({"camera.poses": np.eye(4, dtype="f4")[None], "camera.intrinsics": intrinsics}, []).cameras()
    assert (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height) == (100, 110, 31.5, 24, 64, 48)


def test_splats_come_with_their_colours_or_grey() -> None:
    rng = np.random.default_rng(1)
    shapes = {"means": (5, 3), "quaternions": (5, 4), "log_scales": (5, 3), "logits": (5,)}
    arrays = {f"splats.{name}": rng.standard_normal(shape).astype("f4") for name, shape in shapes.items()}
    splats = Received(arrays, []).splats()
    assert all(getattr(splats, name) is arrays[f"splats.{name}"] for name in shapes)
    assert (splats.degree, splats.sh.shape, splats.sh.any()) == (0, (5, 1, 3), False)
    arrays["splats.dc"] = rng.standard_normal((5, 3)).astype("f4")
    assert np.array_equal(Received(arrays, []).splats().sh[:, 0], arrays["splats.dc"])
    colours = as_declared(SPLAT_TEXTURE, {"splats.dc": rng.standard_normal((5, 3))})["splats.dc"]
    assert dtype_name(colours) == "f4"
