"""What a finished panorama is worth: weight-free measures, a contact sheet, and a camera that turns inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor

from weft.metrics import eroded, psnr, relative_sharpness
from weft.spaces.linear import LinearSpace
from weft.spaces.panorama import look_along, pixel_directions, place
from weft.tasks.guide import Guide
from weft.tasks.panorama_setting import Setting, fitted

__all__ = ["Finished", "contact_sheet", "look_into", "measure", "seam_ratio", "tile_row", "turntable"]

NEW_DIRECTIONS = [(0.0, -15.0), (100.0, 10.0), (180.0, 0.0), (250.0, -35.0), (0.0, 90.0), (0.0, -90.0)]
LOOK_FOV = 75.0  # degrees, of who looks into a sphere
_FRAMES = 48
_FRAME = 320  # px of a turntable's side
_SHEET = 1280  # px wide
_BESIDE = 25  # columns around a seam that it is compared with
_LABEL = 18  # px of a title's height


@dataclass(frozen=True)
class Finished:
    """A run that has ended."""

    setting: Setting
    space: LinearSpace  # of the last step
    estimate: Tensor  # [N, 3, h, w] in [-1, 1]: the views' last x0 before it was synchronised
    z: Tensor  # [cells, 3] in [-1, 1]: the material, unlit
    guide: Guide
    picture: np.ndarray  # f4 [H, W, 3], the result
    states: Sequence[tuple[float, np.ndarray]]  # (s, picture) on the way

    @property
    def material(self) -> np.ndarray:
        """f4 [rows, columns, 3] in [0, 1]."""
        return (self.z.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1).reshape(*self.setting.grid, 3)


def measure(finished: Finished) -> dict[str, Any]:
    """Numbers by name, None where one cannot be measured. `view_psnr` (dB): the views' last own images against the
    finished panorama seen from them. `sharpness`: of views into the material, relative to the exemplar at the scale
    shown. `wrap_seam`, `view_seam`: mean difference of neighbours across the joined borders, or across the lines where
    another view takes over, relative to the others in the same row; 1 is ideal."""
    setting, material = finished.setting, finished.material
    scene = setting.cell_scene
    solid = np.ones(material.shape[:2], bool) if scene is None else ~scene.sky
    columns = np.zeros(material.shape[:2], bool)
    columns[:, -1] = True
    owner = setting.space.owner.reshape(material.shape[:2])
    changes = owner != np.roll(owner, -1, 1)
    return {
        "view_psnr": _rounded(_view_psnr(finished, solid), 2),
        "sharpness": _rounded(_sharpness(finished, material, solid), 3),
        "wrap_seam": _rounded(seam_ratio(material, solid, columns), 3) if setting.wrap else None,
        "view_seam": _rounded(seam_ratio(material, solid, changes & ~columns), 3),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)


def _view_psnr(finished: Finished, solid: np.ndarray) -> float | None:
    space = finished.space
    own = finished.estimate.permute(0, 2, 3, 1).numpy() * np.float32(0.5) + np.float32(0.5)
    seen = space.views_of(space.project(finished.z)).permute(0, 2, 3, 1).numpy() * np.float32(0.5) + np.float32(0.5)
    masks = solid.reshape(-1)[finished.setting.space.index].reshape(space.view_shape)
    pairs = [psnr(a.clip(0, 1), b.clip(0, 1), m) for a, b, m in zip(own, seen, masks, strict=True) if m.any()]
    finite = [value for value in pairs if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def _sharpness(finished: Finished, material: np.ndarray, solid: np.ndarray) -> float | None:
    setting = finished.setting
    image = fitted(material, (setting.height, setting.width))
    mask = fitted(solid[..., None].astype(np.float32), (setting.height, setting.width))
    images, masks = [image], [mask[..., 0] > 0.99]
    if setting.shape == "sphere":
        views = [look_into(image, a, e, setting.window, fov=72.0) for a, e in NEW_DIRECTIONS]
        shown = [look_into(mask, a, e, setting.window, fov=72.0)[..., 0] > 0.99 for a, e in NEW_DIRECTIONS]
        images, masks = views, shown
    usable = [k for k, mask in enumerate(masks) if eroded(mask, 3)[:-1, :-1].any()]
    reference = finished.guide.shown
    if not usable or reference is None or reference.std() == 0:
        return None
    return relative_sharpness([images[k] for k in usable], [masks[k] for k in usable], reference)


def seam_ratio(image: np.ndarray, solid: np.ndarray, across: np.ndarray) -> float | None:
    """Mean |difference| of [H, W, 3] from each pixel marked in `across` [H, W] to its right neighbour (the last
    column's is the first), over that of the unmarked pixels up to 12 columns beside it; only between `solid` pixels.
    None where nothing can be compared."""
    steps = np.abs(image - np.roll(image, -1, 1)).mean(-1, dtype=np.float64)
    both = solid & np.roll(solid, -1, 1)
    both[:, -1] &= across[:, -1]  # the step across borders that are not joined is none
    rest = (both & ~across).astype(np.float64)
    near = ndimage.uniform_filter1d(rest, _BESIDE, 1, mode="wrap")
    usual = ndimage.uniform_filter1d(steps * rest, _BESIDE, 1, mode="wrap") / np.maximum(near, 1e-9)
    at = both & across & (near > 1e-6)
    expected = usual[at].sum()
    return float(steps[at].sum() / expected) if expected > 0 else None


def look_into(
    image: np.ndarray, azimuth: float, elevation: float, size: int, *, fov: float = LOOK_FOV, finer: int = 2
) -> np.ndarray:
    """What a camera of `size`² pixels inside the sphere sees of an equirectangular image f4 [H, 2H, C], from
    `finer`² bilinear reads a pixel."""
    camera = look_along(azimuth, elevation, size=finer * size, fov=fov)
    at = place(pixel_directions(camera), len(image))
    around = np.pad(image, ((0, 0), (2, 2), (0, 0)), "wrap")
    where = [at[..., 0], at[..., 1] + 2]
    planes = [ndimage.map_coordinates(around[..., c], where, order=1, mode="nearest") for c in range(image.shape[2])]
    return fitted(np.stack(planes, -1).astype(np.float32), (size, size))


def turntable(finished: Finished) -> np.ndarray:
    """f4 [48, S, S, 3]: once around inside a sphere; of a wide image a window that pans over it, and on where its
    borders meet (back again where they do not)."""
    image, setting = finished.picture, finished.setting
    if setting.shape == "sphere":
        return np.stack([look_into(image, 360 * k / _FRAMES, 0.0, _FRAME, finer=1) for k in range(_FRAMES)])
    height, width = image.shape[:2]
    turn = np.arange(_FRAMES) / _FRAMES
    travel = turn * width if setting.wrap else (1 - np.cos(2 * np.pi * turn)) / 2 * max(width - height, 0)
    columns = np.arange(min(height, width))
    frames = [image[:, (int(start) + columns) % width] for start in travel]
    return np.stack([fitted(frame, (_FRAME, max(1, _FRAME * len(columns) // height))) for frame in frames])


def contact_sheet(finished: Finished) -> np.ndarray:
    """f4 [H, 1280, 3]: the guide and the panorama on its way; the result; views into it."""
    picture, setting = finished.picture, finished.setting
    rows = [
        [(finished.guide.title, finished.guide.picture), *((f"s = {s:.2f}", image) for s, image in finished.states)],
        [("final", picture)],
    ]
    if setting.shape == "sphere":
        side = _SHEET // len(NEW_DIRECTIONS)
        rows.append([(f"{a:.0f}/{e:+.0f}", look_into(picture, a, e, side)) for a, e in NEW_DIRECTIONS])
    else:
        joined = np.roll(picture, picture.shape[1] // 2, 1)
        rows.append([("its borders joined" if setting.wrap else "its halves exchanged", joined)])
    return np.concatenate([tile_row(tiles) for tiles in rows])


def tile_row(tiles: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Pictures of one height side by side, as large as fits, each under its name."""
    aspects = [image.shape[1] / image.shape[0] for _, image in tiles]
    height = int((_SHEET - 8 * (len(tiles) + 1)) / sum(aspects))
    row = Image.new("RGB", (_SHEET, height + _LABEL + 8), "white")
    left, draw = 8, ImageDraw.Draw(row)
    for (label, image), aspect in zip(tiles, aspects, strict=True):
        tile = Image.fromarray((image.clip(0, 1) * 255 + 0.5).astype(np.uint8))
        row.paste(tile.resize((max(1, int(height * aspect)), height), Image.Resampling.LANCZOS), (left, _LABEL))
        draw.text((left + 2, 3), label, fill=(70, 70, 70))
        left += int(height * aspect) + 8
    return np.asarray(row, np.float32) / 255
