"""Repainting textures: what stays to the bit, what strength means, what a mask is, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from practice_shapes import box, quad, tetrahedron
from scipy.ndimage import distance_transform_edt, gaussian_filter

from weft.errors import InvalidImage, InvalidInput, InvalidMesh, WeftError
from weft.geometry.mesh import Mesh
from weft.io.images import from_bytes, to_bytes
from weft.schedule import stable_diffusion
from weft.tasks.edit import noise_ratio
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.retexture import retexture
from weft.tasks.texture import texture

SIDE = 64
SMALL: dict[str, Any] = {
    "cameras": [], "prompt": "", "strength": 0.6, "size": 64, "steps": 6, "seed": 0, "views": 4,
    "cameras_from": "automatic", "pattern_scale": 1.0, "decals": True, "report": False,
}  # fmt: skip


def patches() -> np.ndarray:
    """An exemplar f4 [64, 64, 3] of red and yellow squares."""
    choice = np.random.default_rng(0).integers(0, 2, (16, 16)).repeat(4, 0).repeat(4, 1)
    return np.array([(0.8, 0.1, 0.1), (0.9, 0.8, 0.1)], np.float32)[choice]


def noisy(height: int = SIDE, width: int = SIDE, seed: int = 1) -> np.ndarray:
    """A texture of which no two texels are the same, blue and soft, as bytes would have it."""
    random = np.random.default_rng(seed)
    image = gaussian_filter(random.random((height, width, 3)), (4, 4, 0), mode="wrap")
    image = (image - image.min()) / np.ptp(image) * (0.4, 0.4, 1.0)
    return from_bytes(to_bytes(image + random.random(image.shape) * 0.01))


def blob(height: int = SIDE, width: int = SIDE, radius: float = 0.3) -> np.ndarray:
    """bool: a disc in the middle."""
    y, x = np.mgrid[:height, :width]
    return np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5) < radius


def run(meshes: Sequence[Mesh], textures: Sequence[np.ndarray] | None = None, **changes: Any) -> Iterator[Event]:
    nothing: list[None] = [None] * len(meshes)
    settings = {"masks": nothing, "selections": nothing, "exemplar": patches(), **SMALL, **changes}
    return retexture(meshes, textures=[noisy()] * len(meshes) if textures is None else textures, **settings)


def result_of(meshes: Sequence[Mesh], textures: Sequence[np.ndarray] | None = None, **changes: Any) -> Result:
    *_, last = run(meshes, textures, **changes)
    assert isinstance(last, Result)
    return last


def repainted(mesh: Mesh, image: np.ndarray, **changes: Any) -> np.ndarray:
    return result_of([mesh], [image], **changes).arrays["texture.0"]


def depth_in(mask: np.ndarray) -> np.ndarray:
    """f8 [H, W]: texels to the next one outside."""
    return np.asarray(distance_transform_edt(mask))


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """bool [H, W]"""
    return (before != after).any(-1)


# What stays


@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("decals", [True, False])
def test_texels_outside_the_mask_are_the_same_to_the_bit(strength, decals):
    image, mask = noisy(), blob()
    after = repainted(box(3), image, masks=[mask], strength=strength, decals=decals)
    assert after.dtype == np.float32
    assert after[~mask].tobytes() == image[~mask].tobytes()
    assert np.array_equal(to_bytes(after)[~mask], to_bytes(image)[~mask])
    inner = depth_in(mask) > 4
    assert changed(image, after)[inner].mean() > 0.95


def test_bytes_survive_the_way_to_floats_and_back():
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_bytes(from_bytes(every)), every)


def test_previews_show_the_old_texture_outside_and_the_new_one_inside():
    image, mask = noisy(), blob()
    previews = [e for e in run([quad()], [image], masks=[mask.astype(np.float32)]) if isinstance(e, Preview)]
    assert len(previews) >= 3
    for preview in previews:
        assert np.array_equal(preview.image[~mask], image[~mask])
        assert changed(image, preview.image)[mask].mean() > 0.9


def test_without_a_mask_all_that_the_charts_reach_is_repainted_and_the_rest_kept():
    """Another object's charts may lie beside those of this one in the same image."""
    mesh = quad(margin=0.25)
    image = noisy(128, 128)
    result = result_of([mesh], [image])
    touched = changed(image, result.arrays["texture.0"])
    assert touched[32:96, 32:96].mean() > 0.99
    assert not touched[:29].any()
    assert not touched[:, 100:].any()
    assert touched[31, 40:90].all()  # renderers that blur read the gutter
    assert result.info["kept"] == pytest.approx(1 - touched.mean(), abs=0.01)


def test_a_repainted_texture_can_be_repainted_again():
    image, left = noisy(), np.arange(SIDE) < 32
    first, second = np.broadcast_to(left, (SIDE, SIDE)), np.broadcast_to(~left, (SIDE, SIDE))
    once = repainted(quad(), image, masks=[first])
    twice = repainted(quad(), once, masks=[second], seed=1)
    assert np.array_equal(once[:, 32:], image[:, 32:])
    assert np.array_equal(twice[:, :32], once[:, :32])
    assert changed(image, twice).mean() > 0.9


# Strength


def test_strength_is_a_part_of_the_schedule():
    ratios = [noise_ratio(t) for t in np.linspace(0.01, 1, 100)]
    assert all(a < b for a, b in pairwise(ratios))
    assert ratios[-1] == math.inf
    whole = stable_diffusion(1000).levels
    assert noise_ratio(0.5) == pytest.approx(whole[500].s, rel=5e-3)
    assert noise_ratio(0.8) == pytest.approx(whole[200].s, rel=5e-3)


def test_at_full_strength_it_is_a_new_texture():
    """The same bytes as `texture`'s, wherever there are charts."""
    mesh = box(3)
    new = {k: v for k, v in SMALL.items() if k != "strength"}
    *_, fresh = texture([mesh], exemplar=patches(), texture_size=SIDE, **new)
    assert isinstance(fresh, Result)
    after = repainted(mesh, noisy(), strength=1.0)
    inside = changed(noisy(), after)
    assert inside.mean() > 0.85
    assert np.array_equal(after[inside], fresh.arrays["texture.0"][inside])


def test_the_stronger_the_further_from_the_old_texture():
    """Likeness: correlation of the brightness, blurred beyond the grain, with what was there."""
    y, x = np.mgrid[:96, :96]
    old = (0.5 + 0.35 * np.sin(x / 6) * np.sin(y / 8))[..., None].repeat(3, -1).astype(np.float32)

    def likeness(strength: float) -> float:
        after = repainted(quad(), old, strength=strength, size=96, steps=12)
        a, b = (gaussian_filter(image.mean(-1), 3).ravel() for image in (old, after))
        return float(np.corrcoef(a, b)[0, 1])

    values = [likeness(strength) for strength in (0.02, 0.3, 0.7, 1.0)]
    assert values[0] > 0.9
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.4


@pytest.mark.parametrize(
    ("strength", "decals", "expected"),
    [(0.01, True, ["decals"]), (0.9, True, ["decals"]), (1.0, True, ["views", "decals"]), (0.3, False, ["views"])],
)
def test_where_something_is_there_decals_do_without_views(strength, decals, expected):
    phases = [e.phase for e in run([quad()], strength=strength, decals=decals) if isinstance(e, Progress)]
    assert list(dict.fromkeys(phases)) == ["prepare", *expected, "finish"]


@pytest.mark.parametrize("steps", [1, 2, 50])
@pytest.mark.parametrize("strength", [1e-3, 0.55, 1.0])
def test_any_number_of_steps_will_do(steps, strength):
    after = repainted(quad(), noisy(), steps=steps, strength=strength)
    assert np.isfinite(after).all()


# Masks and selections


def test_a_mask_over_everything_is_no_mask():
    """The quad's UVs fill the texture."""
    assert np.array_equal(repainted(quad(), noisy(), masks=[np.ones((SIDE, SIDE))]), repainted(quad(), noisy()))


def test_selected_faces_are_the_mask_of_their_texels():
    """The square's first triangle lies below the diagonal of its texture."""
    row, column = np.mgrid[:SIDE, :SIDE]
    below = row + column + 1 >= SIDE
    selected = repainted(quad(), noisy(), selections=[np.array([True, False])])
    assert np.array_equal(selected, repainted(quad(), noisy(), masks=[below]))
    assert np.array_equal(selected[~below], noisy()[~below])


def test_of_a_mask_and_a_selection_both_must_agree():
    row, column = np.mgrid[:SIDE, :SIDE]
    both = repainted(quad(), noisy(), masks=[blob()], selections=[np.array([True, False])])
    assert np.array_equal(both, repainted(quad(), noisy(), masks=[blob() & (row + column + 1 >= SIDE)]))


def test_a_selection_takes_the_gutter_along():
    """All six charts of a box are apart; one is selected."""
    faces = np.arange(len(box(3).faces)) // 18 == 4
    touched = changed(noisy(192, 192), repainted(box(3), noisy(192, 192), selections=[faces]))
    chart = np.zeros((192, 192), bool)
    chart[6:90, 68:124] = True  # column 1 of 3, upper row, less its margin of 6 %
    assert touched[chart].mean() > 0.98
    assert touched[4, 70:120].all()
    assert not touched[96:].any()


def test_the_edit_comes_in_over_a_few_texels():
    """From the old to the new within the mask: the first texel is closer to the old one than those behind it."""
    white = np.ones((128, 128, 3), np.float32)
    after = repainted(quad(), white, masks=[blob(128, 128)], size=128, strength=1.0)
    depth = depth_in(blob(128, 128))
    drop = 1 - after.mean(-1)
    rim = drop[(depth > 0) & (depth <= 1)].mean()
    assert 0 < rim < 0.7 * drop[depth > 6].mean()


def test_the_new_grows_into_the_old():
    """A hole in stripes is filled with the same stripes: they go on where they left off, nothing else tells where."""
    stripes = (0.5 + 0.4 * np.sign(np.sin(np.arange(128) * np.pi / 8)))[None, :, None] * np.ones((128, 1, 3))
    stripes = gaussian_filter(stripes, (0, 1, 0), mode="nearest").astype(np.float32)
    hole = np.zeros((128, 128), bool)
    hole[52:76, 40:88] = True
    # The square's 128 texels are 90 of a view's 128 pixels.
    settings = {"exemplar": stripes, "size": 128, "steps": 16, "strength": 1.0, "pattern_scale": 90 / 128 / 0.6}
    filled = repainted(quad(), stripes, masks=[hole], **settings)
    fresh = repainted(quad(), stripes, **settings)
    wrong = [float(np.abs(after - stripes)[hole].mean()) for after in (filled, fresh)]
    assert wrong[0] < 0.12
    assert wrong[0] < 0.5 * wrong[1]


# Sizes, objects, UVs


def test_textures_may_have_any_size_and_differ_in_it():
    images = [noisy(48, 80), noisy(70, 33), noisy(100, 100)]
    masks = [blob(48, 80), None, blob(100, 100)]
    meshes = [box(2, name="a"), quad("b", y=-3), box(2, name="c")]
    result = result_of(meshes, images, masks=masks)
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        after = result.arrays[f"texture.{i}"]
        assert after.shape == image.shape
        if mask is not None:
            assert np.array_equal(after[~mask], image[~mask])
            assert changed(image, after)[depth_in(mask) > 4].mean() > 0.9
    assert result.arrays["texture.1"][..., 2].max() < 0.25  # of the exemplar's colours all through


def test_an_object_may_be_left_alone_beside_one_that_is_not():
    result = result_of([quad("a"), quad("b", y=-3)], masks=[np.zeros((SIDE, SIDE)), None])
    assert np.array_equal(result.arrays["texture.0"], noisy())
    assert changed(noisy(), result.arrays["texture.1"]).mean() > 0.95


def folded() -> Mesh:
    """A box whose six sides share one chart."""
    mesh = box(2, name="folded")
    assert mesh.corner_uv is not None
    return replace(mesh, corner_uv=(mesh.corner_uv * np.array([3, 2], np.float32)) % 1)


def test_shared_texels_are_repainted_with_a_warning_and_keep_their_place():
    events = list(run([folded()], selections=[np.arange(48) >= 40]))  # the last side, which owns no texel
    warnings = [event for event in events if isinstance(event, Warning)]
    assert any("overlap" in warning.message and "'folded'" in warning.message for warning in warnings)
    result = events[-1]
    assert isinstance(result, Result)
    assert set(result.arrays) == {"texture.0"}
    assert changed(noisy(), result.arrays["texture.0"]).mean() > 0.5


def test_uvs_beyond_the_unit_square_repeat():
    mesh = quad(margin=0.1)
    assert mesh.corner_uv is not None
    moved = replace(mesh, corner_uv=mesh.corner_uv + np.array([2, -1], np.float32))
    here, there = repainted(mesh, noisy()), repainted(moved, noisy())
    assert np.array_equal(changed(noisy(), here), changed(noisy(), there))
    assert np.abs(here - there).mean() < 0.05  # UVs round differently far from 0


# The run


def test_same_seed_same_bytes():
    first, again, other = (repainted(box(3), noisy(), masks=[blob()], seed=seed) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_closing_the_generator_stops_it():
    whole = [type(event) for event in run([quad()])]
    for stop in (1, 3, len(whole) - 1):
        events = run([quad()])
        assert [type(next(events)) for _ in range(stop)] == whole[:stop]
        events.close()  # pyright: ignore[reportAttributeAccessIssue]
        assert next(events, None) is None


def test_the_given_arrays_are_left_as_they_are():
    image, mask, selected = noisy(), blob().astype(np.float32), np.array([True, False])
    copies = [array.copy() for array in (image, mask, selected)]
    for array in (image, mask, selected):
        array.flags.writeable = False
    repainted(quad(), image, masks=[mask], selections=[selected])
    for array, copy in zip((image, mask, selected), copies, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize("masks", [[None], [blob()]], ids=["whole", "masked"])
def test_a_report_brings_pictures_and_numbers(masks):
    result = result_of([box(2)], masks=masks, report=True)
    assert set(result.arrays) == {"texture.0", "contact_sheet", "turntable"}
    assert result.arrays["contact_sheet"].shape == (3 * 288, 5 * 288, 3)
    info = result.info
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    assert {"material", "strength", "kept", "coverage", "unfilled", "views", "seconds", "patch_distance"} <= set(info)
    assert info["rerender_psnr"] > 15


# Refusals


def spoilt(value: float) -> np.ndarray:
    image = noisy()
    image[3, 4, 1] = value
    return image


def with_uv(value: float) -> Mesh:
    mesh = quad("bent")
    assert mesh.corner_uv is not None
    uv = mesh.corner_uv.copy()
    uv[1, 2, 0] = value
    return replace(mesh, corner_uv=uv)


REFUSALS: dict[str, tuple[dict[str, Any], type[WeftError], str]] = {
    "no mesh": ({"meshes": [], "textures": []}, InvalidInput, "no mesh"),
    "no texture": ({"textures": [None]}, InvalidImage, "'quad' comes without a texture"),
    "fewer textures": ({"meshes": [quad(), quad("b")], "textures": [noisy()]}, InvalidInput, "1 textures for 2"),
    "fewer masks": ({"masks": []}, InvalidInput, "0 masks for 1"),
    "more selections": ({"selections": [None, None]}, InvalidInput, "2 selections for 1"),
    "grey texture": ({"textures": [noisy()[..., 0]]}, InvalidImage, "64 x 64"),
    "texture with alpha": ({"textures": [np.ones((8, 8, 4), np.float32)]}, InvalidImage, "8 x 8 x 4"),
    "texture of bytes": ({"textures": [to_bytes(noisy())]}, InvalidImage, "uint8"),
    "empty texture": ({"textures": [np.ones((0, 8, 3), np.float32)]}, InvalidImage, "0 x 8 x 3"),
    "NaN texture": ({"textures": [spoilt(math.nan)]}, InvalidImage, "NaN"),
    "linear light": ({"textures": [spoilt(3.5)]}, InvalidImage, "outside 0 to 1"),
    "negative": ({"textures": [spoilt(-0.1)]}, InvalidImage, "outside 0 to 1"),
    "mask of another size": ({"masks": [np.ones((64, 32))]}, InvalidImage, "64 x 32"),
    "mask in colours": ({"masks": [np.ones((64, 64, 3))]}, InvalidImage, "64 x 64 x 3"),
    "selection of another length": ({"selections": [np.ones(3, bool)]}, InvalidInput, "bool 3, not bool 2"),
    "selection by number": ({"selections": [np.array([0, 1])]}, InvalidInput, "int64"),
    "empty mask": ({"masks": [np.zeros((64, 64))]}, InvalidInput, "nothing to repaint"),
    "nothing selected": ({"selections": [np.zeros(2, bool)]}, InvalidInput, "nothing to repaint"),
    "mask beside the charts": (
        {"meshes": [quad(margin=0.3)], "masks": [np.eye(64, 64, 63)]},
        InvalidInput,
        "nothing to repaint",
    ),
    "no strength": ({"strength": 0.0}, InvalidInput, "strength 0 "),
    "too much": ({"strength": 1.01}, InvalidInput, "strength 1.01"),
    "negative strength": ({"strength": -0.5}, InvalidInput, "strength -0.5"),
    "NaN strength": ({"strength": math.nan}, InvalidInput, "strength nan"),
    "no UVs": ({"meshes": [tetrahedron()]}, InvalidMesh, "'tetrahedron' has no UVs"),
    "NaN UVs": ({"meshes": [with_uv(math.nan)]}, InvalidMesh, "'bent' has 1 faces"),
    "unknown cameras": ({"cameras_from": "sky"}, InvalidInput, "'sky'"),
    "nothing asked for": ({"exemplar": None}, InvalidInput, "prompt"),
    "tiny picture": ({"exemplar": np.zeros((8, 8, 3), np.float32)}, InvalidImage, "(8, 8, 3)"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_refused_before_anything_happens(name):
    changes, kind, words = REFUSALS[name]
    with pytest.raises(kind) as refusal:
        next(run(**{"meshes": [quad()], "textures": [noisy()], **changes}))
    assert words in refusal.value.message
    assert "\n" not in str(refusal.value)
    assert refusal.value.hint
    assert refusal.value.code == kind.code
