"""The task that keeps an object and varies what is around it, small: its events, its promises, what it refuses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from weft.errors import InvalidImage, InvalidInput, OutOfMemory, WeftError
from weft.io.images import load_image, to_bytes
from weft.metrics import eroded
from weft.metrics.boundary import mask_seam
from weft.tasks import backgrounds_input
from weft.tasks.backgrounds import backgrounds
from weft.tasks.backgrounds_methods import METHODS, find_method
from weft.tasks.backgrounds_outline import joined, mask_share
from weft.tasks.backgrounds_report import measured
from weft.tasks.events import Event, Preview, Progress, Result

SMALL: dict[str, Any] = {
    "prompt": "", "variants": 2, "correlation": -1.0, "method": "coupled", "optimize": 2, "rate": 0.1,
    "steps": 6, "size": 96, "pattern_scale": 1.0, "compare": False, "seed": 0, "report": False,
}  # fmt: skip
DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOX = DATA / "fox_270x480" / "images" / "0014.jpg"


def photograph(side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A striped disc f4 [side, side, 3] before squares of two colours, and its mask."""
    rows, columns = np.mgrid[:side, :side]
    mask = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 4) ** 2
    dark = np.random.default_rng(0).integers(0, 2, (side // 6, side // 6)).repeat(6, 0).repeat(6, 1)
    behind = np.array([(0.2, 0.3, 0.7), (0.7, 0.8, 0.9)], np.float32)[dark]
    stripes = np.array([(0.9, 0.2, 0.1), (0.6, 0.1, 0.0)], np.float32)[(rows // 4) % 2]
    return np.where(mask[..., None], stripes, behind), mask


def run(image: np.ndarray | None = None, mask: np.ndarray | None = None, **changes: Any) -> list[Event]:
    own, outline = photograph()
    given = own if image is None else image
    return list(backgrounds(given, outline if mask is None else mask, **{**SMALL, **changes}))


def result_of(*given: Any, **changes: Any) -> Result:
    last = run(*given, **changes)[-1]
    assert isinstance(last, Result)
    return last


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return run(compare=True, optimize=10)


# What comes


def test_progress_and_previews_lead_to_one_result(events: list[Event]) -> None:
    assert [isinstance(event, Result) for event in events].count(True) == 1
    phases = list(dict.fromkeys(event.phase for event in events if isinstance(event, Progress)))
    assert phases == ["prepare", *(name for name in METHODS if name != "coupled"), "coupled", "finish"]
    previews = [event for event in events if isinstance(event, Preview)]
    assert {event.object for event in previews} == {0, 1}
    assert all(event.image.shape == (96, 96, 3) for event in previews)


def test_the_object_is_the_photograph_s_and_the_rest_differs(events: list[Event]) -> None:
    image, mask = photograph()
    last = events[-1]
    assert isinstance(last, Result)
    made = last.arrays["backgrounds"]
    assert (made.shape, made.dtype) == ((2, 96, 96, 3), np.uint8)
    inner = eroded(mask, 2)
    assert (made[:, inner] == to_bytes(image)[inner]).all()
    assert np.abs(made[0].astype(float) - made[1])[~mask].mean() > 10


def test_steps_bring_the_object_back(events: list[Event]) -> None:
    last = events[-1]
    assert isinstance(last, Result)
    rows = {(row["method"], row["steps"]): row for row in last.info["comparison"]}
    assert set(rows) == {(name, 0) for name in METHODS} | {("coupled", 10)}
    assert rows["coupled", 10]["rmse_f"] < rows["coupled", 0]["rmse_f"]
    assert rows["inpainting", 0]["rmse_f"] == 0
    assert rows["inversion", 0]["diversity"] == 0
    assert last.info["diversity"] == rows["coupled", 10]["diversity"]


def test_the_same_seed_gives_the_same_bytes_and_another_others() -> None:
    one, two, other = (result_of(optimize=1, seed=seed).arrays["backgrounds"] for seed in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_material_is_put_behind_the_object() -> None:
    green = np.random.default_rng(0).random((48, 48, 1), np.float32) * np.array((0.1, 0.9, 0.1), np.float32)
    result = result_of(exemplar=green, optimize=0)
    around = result.arrays["backgrounds"][:, ~photograph()[1]] / 255
    assert result.info["material"]["name"] == "reference image"
    assert around[..., 1].mean() > 2 * around[..., 2].mean()
    assert result_of(prompt="mossy stone", optimize=0).info["material"]["name"] == "mossy stone"


def test_larger_photographs_come_back_as_large() -> None:
    image, mask = photograph(192)
    made = result_of(image, mask, optimize=0).arrays["backgrounds"]
    assert made.shape == (2, 192, 192, 3)
    middle = slice(70, 120)
    assert (made[:, middle, middle] == to_bytes(image)[middle, middle]).all()


# A photograph


@pytest.mark.skipif(not FOX.exists(), reason=f"no photographs in {DATA}: set WEFT_TEST_DATA")
def test_on_a_photograph_the_object_returns_and_the_outline_is_no_worse_than_inpainting_s() -> None:
    """RMSE-F falls with every checkpoint, diversity hardly, at a third of the size."""
    outline = [
        (38, 36), (45, 35), (72, 65), (108, 103), (140, 80), (177, 52), (184, 61), (178, 83), (167, 120), (170, 190),
        (164, 232), (170, 267), (162, 300), (128, 322), (102, 342), (67, 323), (35, 303), (30, 267), (30, 220),
        (22, 193), (48, 174), (45, 133), (35, 60),
    ]  # fmt: skip
    picture = Image.new("L", (270, 480))
    ImageDraw.Draw(picture).polygon(outline, fill=255)
    mask = np.asarray(picture) > 127
    found = result_of(load_image(FOX), mask, size=160, optimize=25, compare=True, steps=8)
    rows = {(row["method"], row["steps"]): row for row in found.info["comparison"]}
    ours = [rows["coupled", steps] for steps in (0, 10, 25)]
    missed = [row["rmse_f"] for row in ours]
    assert missed[0] > 1.5 * missed[1] > 1.5 * missed[2]
    assert ours[2]["diversity"] > 0.85 * ours[0]["diversity"]
    assert ours[2]["boundary"] <= rows["inpainting", 0]["boundary"]
    assert ours[2]["boundary"] <= found.info["boundary_before"]
    assert missed[2] < rows["object-inversion", 0]["rmse_f"]


# Parts


def test_the_outline_is_measured_against_what_is_beside_it() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32)[:, None] / 64, (1, 64))[..., None].repeat(3, 2)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    assert mask_seam(ramp + ramp.swapaxes(0, 1), mask) == pytest.approx(1)
    assert mask_seam(ramp + mask[..., None], mask) > 20
    with pytest.raises(InvalidInput, match="no outline"):
        mask_seam(ramp, np.zeros((64, 64), bool))


def test_masks_become_coarser_by_area() -> None:
    mask = np.zeros((64, 64), bool)
    mask[10:30, 13:41] = True
    share = mask_share(mask, 8, 8)
    assert share.sum() * 64 == mask.sum()
    assert torch.equal(share, torch.from_numpy(mask.reshape(8, 8, 8, 8).mean((1, 3), dtype=np.float32)))
    mask[:] = False
    mask[30, 30] = True
    with pytest.raises(InvalidInput, match="too small to be seen at 8×8"):
        mask_share(mask, 8, 8)
    with pytest.raises(InvalidInput, match="leaves nothing around it"):
        mask_share(~mask, 8, 8)


def test_the_object_is_joined_inside_of_its_outline() -> None:
    image, mask = photograph()
    painted = np.zeros_like(image)
    result = joined(image, painted, mask, 3.0)
    assert np.array_equal(result[~mask], painted[~mask])
    assert np.array_equal(result[40:56, 40:56], image[40:56, 40:56])


def test_measures_are_what_they_say() -> None:
    image, mask = photograph()
    shifted = np.stack([image + 0.1, image - 0.1])
    row = measured("coupled", 0, shifted, image, mask, 1.0)
    assert row.rmse_f == pytest.approx(0.1, abs=1e-4)
    assert row.diversity == pytest.approx(0.2, abs=1e-4)
    assert row.boundary == pytest.approx(mask_seam(image, mask), rel=0.1)


# What is refused


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"variants": 1}, InvalidInput, "1 backgrounds, expected 2 to 16"),
        ({"correlation": -0.9, "variants": 3}, InvalidInput, "between -0.5 and 1"),
        ({"method": "magic"}, InvalidInput, "choose one of coupled"),
        ({"optimize": -1}, InvalidInput, "-1 steps"),
        ({"mask": np.zeros((96, 96), bool)}, InvalidInput, "the mask is empty"),
        ({"mask": np.ones((96, 96), bool)}, InvalidInput, "the mask is full"),
        ({"mask": np.ones((96, 90), bool)}, InvalidInput, "of 90×96 px, expected 96×96 px"),
        ({"image": np.zeros((20, 20, 3), np.float32)}, InvalidImage, "expected at least 64"),
        ({"image": np.full((96, 96, 3), np.nan, np.float32)}, InvalidImage, "NaN"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    changes: dict[str, Any], error: type[WeftError], says: str
) -> None:
    image, mask = photograph()
    given = {"image": image, "mask": mask, **SMALL, **changes}
    with pytest.raises(error, match=says):
        next(backgrounds(**given))


def test_more_than_memory_holds_is_refused_saying_how_many_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgrounds_input, "free_memory", lambda: 4 << 30)
    image, mask = photograph(1020)
    with pytest.raises(OutOfMemory, match=r"16 backgrounds of 1020×1020 px need \d\.\d GB, .* free \(\d+ would fit\)"):
        next(backgrounds(image, mask, **{**SMALL, "variants": 16, "correlation": 0.0, "size": 1024}))
    monkeypatch.setattr(backgrounds_input, "free_memory", lambda: 1 << 20)
    with pytest.raises(OutOfMemory, match="scale the picture down"):
        next(backgrounds(image, mask, **SMALL))


def test_methods_are_rows() -> None:
    assert find_method("coupled").optimized
    assert [name for name, row in METHODS.items() if row.held] == ["inpainting"]
