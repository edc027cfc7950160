"""What tells which part of a style belongs where: channels that a style and views have in common.

*lightness*: Hertzmann et al. 2001, "Image analogies": luminance, the views' own moved to the distribution of the
style's rank by rank, here after raising local contrast, so that features stay apart that light alone would merge. And
chroma, moved by the Monge-Kantorovich map (Pitié & Kokaram 2007), the linear map between both distributions of colours
that moves them least: what differs in hue alone is then painted in different colours, too. Both maps are found once
over all views, so that views of one thing agree.

*ranks*: lightness alone, on both sides as the part of all pixels that is darker. Nothing is raised and no hue counts:
what is painted keeps the views' own tones, and views of one thing agree most. A difference means the same to any style.

*normals*: Fišer et al. 2016, "StyLit", in one frame of the world. In each camera's own frame, as there, views would be
lit from different sides and contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from weft.geometry.camera import Camera
from weft.tasks.painted_sphere import Sphere

__all__ = ["continued", "lightness_guides", "normal_guides", "rank_guides"]

_YCC = np.array([(0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813)], np.float32).T
_SMOOTHING = 0.01  # of the style's shorter side: bristles and grain are no lightness
_CONTRAST, _NEAR = 1.5, 0.06  # what local contrast is raised by, within this part of a view's side
_CHROMA = 1.5  # weight of chroma beside luminance
_TONE = 1.5  # weight of luminance while colours are moved: chroma follows it less
_FLAT = 0.01  # standard deviation below which colours are grey
_PLAIN = 0.3  # length of a mean direction below which cameras look from everywhere


def lightness_guides(images: np.ndarray, mask: np.ndarray, style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Channels f4 [N, H, W, 3] of the views and f4 [h, w, 3] of the style: luminance in [-1, 1] and weighted chroma.

    `images` f4 [N, H, W, 3] sRGB, `mask` bool [N, H, W] whose pixels the distributions are taken over, `style`
    f4 [h, w, 3]. Neither the order of the views nor a change of their exposure or contrast makes a difference.
    """
    radius = _SMOOTHING * min(style.shape[:2])
    own = gaussian_filter(style, (radius, radius, 0), mode="reflect") @ _YCC
    ycc = images @ _YCC
    ycc[..., 0] += _CONTRAST * (ycc[..., 0] - _surroundings(ycc[..., 0], mask))
    moved = _moved(ycc, ycc[mask], own.reshape(-1, 3))
    moved[..., 0] = _ranked(ycc[..., 0], ycc[..., 0][mask], own[..., 0])
    return _channels(moved), _channels(own)


def rank_guides(images: np.ndarray, mask: np.ndarray, style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One channel f4 [N, H, W, 1] of the views and f4 [h, w, 1] of the style: the rank of each pixel's lightness, from
    -1, the darkest, to 1. Arguments and what makes no difference as in `lightness_guides`."""
    radius = _SMOOTHING * min(style.shape[:2])
    own = gaussian_filter(style, (radius, radius, 0), mode="reflect") @ _YCC[:, 0]
    luminance = images @ _YCC[:, 0]
    return _ranks(luminance, luminance[mask])[..., None], _ranks(own, own)[..., None]


def _ranks(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Share of those `among` them that are below each value less the share above, f4; equal values stay equal."""
    ordered = np.sort(among, axis=None)
    below, above = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return ((below + above) / len(ordered) - 1).astype(np.float32)


def _channels(ycc: np.ndarray) -> np.ndarray:
    return (ycc * np.array([2, 2 * _CHROMA, 2 * _CHROMA]) - np.array([1, 0, 0])).astype(np.float32)


def _surroundings(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Weighted means f4 [N, H, W] of what lies near each pixel and on the mask."""
    radius = _NEAR * float(np.sqrt(np.prod(values.shape[1:])))
    reach = (0, radius, radius)
    share = gaussian_filter(mask.astype(np.float32), reach)
    return gaussian_filter(values * mask, reach) / np.maximum(share, np.float32(1e-6))


def _ranked(values: np.ndarray, among: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`values` moved so that those `among` them get the distribution of `like`; equal values stay equal."""
    levels, counts = np.unique(among, return_counts=True)
    rank = (np.cumsum(counts) - counts / 2) / len(among)  # the middle of equals
    sorted_like = np.sort(like, axis=None)
    target = np.interp(rank, (np.arange(like.size) + 0.5) / like.size, sorted_like)
    return np.interp(values, levels, target).astype(np.float32)


def _moved(colours: np.ndarray, among: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The Monge-Kantorovich map A^-½ (A^½ B A^½)^½ A^-½ between the Gaussians of `among` [n, 3] and `like` [m, 3]."""
    scale = np.array([_TONE, 1, 1])
    a, b = (np.cov((each * scale).T) + _FLAT**2 * np.eye(3) for each in (among, like))
    root, inverse = _power(a, 0.5), _power(a, -0.5)
    transport = inverse @ _power(root @ b @ root, 0.5) @ inverse
    return ((colours - among.mean(0)) * scale @ transport / scale + like.mean(0)).astype(np.float32)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T


def normal_guides(
    normal: np.ndarray, cameras: Sequence[Camera], sphere: Sphere, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Channels f4 [N, H, W, 4] of views with world normals f4 [N, H, W, 3], and f4 [height, width, 4] of a
    picture with a painted sphere: rightwards, upwards, frontwards, and what is no sphere.

    The sphere hangs before the scene's front. What faces away from there is painted like what faces it in a mirror.
    """
    right, up, front = _front(cameras)
    across, high, along = (normal @ axis for axis in (right, up, front))
    views = np.stack([across, high, np.abs(along), np.zeros_like(across)], -1)
    own, inside = sphere.normals(height, width)
    return views.astype(np.float32), np.concatenate([own, ~inside[..., None]], -1, dtype=np.float32)


def _front(cameras: Sequence[Camera]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The unit vectors f8 [3] to the right, up and towards the viewer of a camera that stands before the scene: where
    the cameras stand on the average, or, where they stand all around, before what faces -Y with +Z upwards."""
    up = np.mean([camera.pose[:3, 1] for camera in cameras], 0)
    up = up if np.linalg.norm(up) > _PLAIN else np.array([0.0, 0.0, 1.0])
    up /= np.linalg.norm(up)
    for toward in (np.mean([camera.pose[:3, 2] for camera in cameras], 0), np.array([0.0, -1.0, 0.0])):
        level = toward - (toward @ up) * up
        if np.linalg.norm(level) > _PLAIN:
            break
    else:
        level = np.cross(up, [1.0, 0.0, 0.0])
    front = level / np.linalg.norm(level)
    return np.cross(up, front), up, front


def continued(guides: np.ndarray, mask: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Guides [N, H, W, G] whose pixels off the `mask` repeat the nearest on it, and the mask grown by `margin` pixels.

    What is painted then goes on beyond silhouettes: no patch has to show an edge that the style may not have.
    """
    grown, filled = mask.copy(), guides.copy()
    for view, (inside, own) in enumerate(zip(mask, guides, strict=True)):
        if inside.any() and not inside.all():
            rows, columns = np.asarray(distance_transform_edt(~inside, return_distances=False, return_indices=True))
            here = np.indices(inside.shape)
            filled[view], grown[view] = own[rows, columns], np.hypot(rows - here[0], columns - here[1]) <= margin
    return filled, grown
