"""Views after a part of the scene was moved, made of the views before: the coarse edit that conditions an editor.

A pixel after the motion shows a place that lay somewhere before it; the views that saw it there are read, its own view
first, sharply. What stays in front of its pixel keeps that pixel bit by bit. What no view saw is a hole: the background
that was hidden, sides of the object that faced away. Pixels along the object's old outline mix it with what lies
behind; they are neither kept nor read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy.ndimage import binary_dilation, distance_transform_edt, label, minimum_filter

from weft.spaces.gathering import gathering
from weft.spaces.membrane import membrane
from weft.spaces.mesh_texture import Views
from weft.spaces.moved import Moved
from weft.spaces.texel_kernels import see

__all__ = ["CoarseEdit", "coarse_edit"]

RIM = 2  # pixels beside an outline that may mix both sides
_KEPT = 8  # views tried for a pixel
_OWN = 4.0  # how much more a pixel's own view counts
_EXPONENT = 12.0  # of a view's weight: nearly one owner a pixel
_CELL_EXPONENT = 12.0  # the same of a splat
_LEAST_COSINE, _POWER, _RAMP = 0.1, 1.0, 4
_STILL = 1e-3  # pixels
_ALIKE = 0.1  # of the pixels beside a hole: so many show that what is known of a backdrop is one
_FULL = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class CoarseEdit:
    """images f4 [N, H, W, 3] in [0, 1]. Bool [N, H, W]: `holes` are smooth fills of what no view saw; `kept` pixels are
    those of the source."""

    images: np.ndarray
    holes: np.ndarray
    kept: np.ndarray


def coarse_edit(moved: Moved, images: np.ndarray) -> CoarseEdit:
    """The views f4 [N, H, W, 3] of `moved.before`, as far as they tell how they would look after the motion."""
    kept = _kept(moved)
    result = images.copy()
    seen = kept.copy()
    for own, source in ((moved.now, moved.was), (~moved.now, ~moved.was)):
        wanted = own & ~kept & np.isfinite(moved.after.depth)
        if wanted.any() and source.any():
            read = _read_cells if moved.before.kind == "splats" else _read
            seen[wanted] = read(moved, images, wanted, source, result)
    holes = ~seen
    result = _filled(moved, result, holes)
    arrived = np.stack([_widened(own, 1) for own in moved.now & ~kept])
    outline = arrived & (moved.share > 0) & (moved.share < 1) & ~(kept & moved.now)
    result = np.where(outline[..., None], _blended(result, moved), result)
    return CoarseEdit(result.clip(0, 1), holes, kept & ~outline)


def _kept(moved: Moved) -> np.ndarray:
    """bool [N, H, W]: pixels in front of which nothing moves, clear of the outline of what did."""
    footprint = [
        np.full(depth.shape, 1.0) / camera.fx if camera.orthographic else depth / camera.fx
        for camera, depth in zip(moved.before.cameras, moved.before.depth, strict=True)
    ]
    shift = np.linalg.norm(moved.origin - moved.before.position, axis=-1)
    still = moved.was & moved.now & (shift <= _STILL * np.stack(footprint))
    left = moved.was & ~still
    nearest = np.where(left, moved.before.depth, np.inf)
    reach = (1, 2 * RIM + 1, 2 * RIM + 1)
    mixed = minimum_filter(nearest, reach, mode="nearest") < np.inf
    # What hides the object mixes with it too, but is there on the outline's both sides.
    mixed &= moved.before.depth >= minimum_filter(nearest, reach, mode="nearest") * np.float32(0.99)
    return still | (~moved.was & ~moved.now & ~mixed)


def _read(moved: Moved, images: np.ndarray, wanted: np.ndarray, source: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Write the `wanted` pixels bool [N, H, W] into `result`, read where views show the `source` pixels; returns bool
    [wanted], which of them some view saw."""
    before = moved.before
    depth = np.where(source, before.depth, np.float32(np.inf))
    jump = 0.08 * _extent(before.position[source & before.mask])
    solid = np.where(np.isfinite(depth), 0, -1).astype(np.int32)
    views = Views(before.cameras, solid, np.zeros((*depth.shape, 3), np.float32), depth, jump)
    view = np.nonzero(wanted)[0].astype(np.int32)
    image, x, y, weight = _seen_by(views, moved.origin[wanted], moved.origin_normal[wanted], jump)
    weight *= np.where(image == view[:, None], np.float32(_OWN), np.float32(1))
    order = np.argsort(-weight, axis=1, kind="stable")
    image, x, y, weight = (np.ascontiguousarray(np.take_along_axis(a, order, 1)) for a in (image, x, y, weight))
    read = gathering(image, x, y, weight, _EXPONENT, taps=4, view_shape=before.shape)
    clean = np.stack([_cleaned(one, own) for one, own in zip(images, source, strict=True)])
    colours = (read @ torch.from_numpy(clean.reshape(-1, images.shape[-1]))).numpy()
    seen = weight[:, 0] > 0
    result[wanted] = np.where(seen[:, None], colours, 0)
    return seen


def _read_cells(
    moved: Moved, images: np.ndarray, wanted: np.ndarray, source: np.ndarray, result: np.ndarray
) -> np.ndarray:
    """The same by way of the cells: where a pixel mixes many, its mean place says little about where to read it."""
    before, after = moved.before.space(_CELL_EXPONENT), moved.after.space(_CELL_EXPONENT)
    clean = np.stack([one[tuple(_nearest(own))] if own.any() else one for one, own in zip(images, source, strict=True)])
    cells = before.aggregate(torch.from_numpy(clean.reshape(-1, images.shape[-1])))
    result[wanted] = after.project(cells).numpy().reshape(images.shape)[wanted]
    seen = torch.from_numpy(before.seen.astype(np.float32))[:, None]
    return after.project(seen).numpy().reshape(wanted.shape)[wanted] > 0.5


def _seen_by(
    views: Views, position: np.ndarray, normal: np.ndarray, jump: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """image, x, y, weight [P, R] of the views that see these places: see `texel_kernels.see`."""
    count, kept = len(position), min(len(views.cameras), _KEPT)
    to_camera = np.stack([c.view_matrix * np.array([[1.0], [-1.0], [1.0]]) for c in views.cameras]).astype(np.float32)
    lenses = np.array([(c.fx, c.fy, c.cx, c.cy) for c in views.cameras], np.float32)
    image = np.empty((count, kept), np.int32)
    x, y, weight = (np.empty((count, kept), np.float32) for _ in range(3))
    see(
        np.ascontiguousarray(position, np.float32), np.ascontiguousarray(normal, np.float32),
        np.arange(len(views.cameras), dtype=np.int32)[None], to_camera, views.eyes, lenses, views.hidden_beyond(),
        np.maximum(views.edge_trust(_RAMP), np.float32(0.02)), np.float32(min(c.near for c in views.cameras)),
        np.float32(jump / 4), np.float32(_LEAST_COSINE), np.float32(_POWER), np.float32(0),
        image, x, y, weight, np.empty(count, np.float32),
    )  # fmt: skip
    return image, x, y, weight


def _extent(points: np.ndarray) -> float:
    """Half the diagonal of the box that holds all but the outermost fiftieths."""
    low, high = np.quantile(points[:: max(1, len(points) // 20_000)], (0.02, 0.98), axis=0)
    return max(float(np.linalg.norm(high - low)) / 2, 1e-6)


def _cleaned(image: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The image [H, W, 3] with pixels at the border of `own` bool [H, W] and beyond as they are a little inside."""
    inside = ~_widened(~own, 1)
    if not inside.any():
        return image
    thin = own & ~_widened(inside, 2 * RIM)  # too narrow to have an inside: better mixed than from elsewhere
    result = image[tuple(_nearest(inside))]
    result[thin] = image[thin]
    return result


def _filled(moved: Moved, images: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Holes in the object from the object, those in what stays from what stays, those before a backdrop from that."""
    images = membrane(images, moved.now & ~holes, moved.now & holes)
    backdrop, stays = ~moved.now & ~moved.after.mask, ~moved.now & ~holes
    sides = zip(holes & backdrop, stays & backdrop, stays, strict=True)
    open_ = np.stack([_before_backdrop(*side) for side in sides])
    images = membrane(images, stays & backdrop, open_)
    return membrane(images, stays & (moved.after.mask | ~open_.any((1, 2), keepdims=True)), holes & ~moved.now & ~open_)


def _before_backdrop(hole: np.ndarray, backdrop: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """bool [H, W]: those parts of the hole, whose depth nobody knows, that border on a backdrop. In depth maps it may
    as well be the middle of a surface."""
    parts, count = cast(tuple[np.ndarray, int], label(hole, _FULL))
    result = np.zeros_like(hole)
    for part in (parts == number for number in range(1, count + 1)):
        border = _widened(part, RIM + 1)
        if (border & backdrop).sum() > _ALIKE * (border & stays).sum():
            result |= part
    return result


def _blended(images: np.ndarray, moved: Moved) -> np.ndarray:
    """The images with the object's new outline as smooth as its `share` of the pixels is."""
    result = np.empty_like(images)
    for i, (image, own) in enumerate(zip(images, moved.now, strict=True)):
        share = moved.share[i][..., None]
        front, back = (image[tuple(_nearest(side))] for side in (own, ~own))
        result[i] = share * front + (1 - share) * back
    return result


def _widened(own: np.ndarray, pixels: int) -> np.ndarray:
    """bool [H, W]: `own` and what lies so near it."""
    return np.asarray(binary_dilation(own, _FULL, iterations=pixels), bool)


def _nearest(own: np.ndarray) -> np.ndarray:
    """i4 [2, H, W], the nearest pixel of `own`, anything where there is none."""
    return np.asarray(distance_transform_edt(~own, return_distances=False, return_indices=True))
