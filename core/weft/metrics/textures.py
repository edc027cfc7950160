"""A texture on its surface: how much of it was seen, and whether its seams show."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from weft.errors import InvalidInput

__all__ = ["coverage", "seam_energy"]

_REACH = 1.5  # texels between two texel centres that count as neighbours
_SAMPLES = 200_000
_BINS = 8


def coverage(cosine: np.ndarray, inside: np.ndarray, least: float = 0.1) -> float:
    """Fraction of the chart texels `inside` [T, T] whose best `cosine` [T, T] over the views exceeds `least`."""
    if not inside.any():
        raise InvalidInput("the texture has no chart texels", "check the UVs: they may be collapsed to a point")
    return float((cosine[inside] > least).mean())


def seam_energy(
    texture: np.ndarray,  # f4 [T, T, 3]
    position: np.ndarray,  # f4 [T, T, 3] world position of each texel's centre, NaN outside the charts
    chart: np.ndarray,  # i4 [T, T], -1 outside the charts
    normal: np.ndarray | None = None,  # f4 [T, T, 3] unit normals
    seed: int = 0,
) -> float:
    """Mean |difference| across chart borders over that of neighbours inside charts at the same 3D distance.

    1 means that a seam cannot be told from the rest. Pairs are texel centres near chart borders, on different charts,
    at most 1.5 texels apart in 3D; texels further inside never count, since two sheets that lie close together are not
    a seam. Nor are, with `normal`, the two sides of a sheet that meet at its rim: such texels face apart. A surface
    without seams gives 1.
    """
    rng = np.random.default_rng(seed)
    inner_distance, inner_change = _inner_pairs(texture, position, chart, rng)
    if len(inner_distance) == 0:
        raise InvalidInput("no two neighbouring texels share a chart", "use a larger texture")
    texel = _texel_size(position, chart)
    distance, change = _border_pairs(texture, position, chart, normal, _REACH * texel, rng)
    if len(distance) == 0:
        return 1.0
    expected = float(_expected_change(inner_distance / texel, inner_change, distance / texel).mean())
    found = float(change.mean())
    if expected == 0:
        return 1.0 if found == 0 else float("inf")
    return found / expected


def _texel_size(position: np.ndarray, chart: np.ndarray) -> float:
    """Median 3D distance of horizontal neighbours on one chart."""
    same = (chart[:, 1:] == chart[:, :-1]) & (chart[:, 1:] >= 0)
    return float(np.median(np.linalg.norm((position[:, 1:] - position[:, :-1])[same], axis=-1)))


def _inner_pairs(
    texture: np.ndarray, position: np.ndarray, chart: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """3D distances and mean |differences| of a sample of texel pairs inside charts."""
    rows, columns = np.nonzero(chart >= 0)
    if len(rows) > _SAMPLES:
        kept = rng.choice(len(rows), _SAMPLES, replace=False)
        rows, columns = rows[kept], columns[kept]
    distances, changes = [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        r, c = rows + down, columns + right
        valid = (r < chart.shape[0]) & (c < chart.shape[1]) & (c >= 0)
        a, b = (rows[valid], columns[valid]), (r[valid], c[valid])
        same = chart[a] == chart[b]
        a, b = (a[0][same], a[1][same]), (b[0][same], b[1][same])
        distances.append(np.linalg.norm(position[a] - position[b], axis=-1))
        changes.append(np.abs(texture[a] - texture[b]).mean(-1))
    return np.concatenate(distances), np.concatenate(changes)


def _border_pairs(
    texture: np.ndarray,
    position: np.ndarray,
    chart: np.ndarray,
    normal: np.ndarray | None,
    reach: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """3D distances and mean |differences| of texels of different charts, both within two texels of a border."""
    padded = np.pad(chart, 2, constant_values=-1)
    single = ndimage.minimum_filter(padded, 5) == ndimage.maximum_filter(padded, 5)
    rows, columns = np.nonzero((chart >= 0) & ~single[2:-2, 2:-2])
    if len(rows) > _SAMPLES:
        kept = rng.choice(len(rows), _SAMPLES, replace=False)
        rows, columns = rows[kept], columns[kept]
    points = position[rows, columns]
    if len(points) == 0:
        return np.zeros(0), np.zeros(0)
    a, b = KDTree(points).query_pairs(reach, output_type="ndarray").T
    apart = chart[rows[a], columns[a]] != chart[rows[b], columns[b]]
    if normal is not None:
        apart &= (normal[rows[a], columns[a]] * normal[rows[b], columns[b]]).sum(-1) > 0
    a, b = a[apart], b[apart]
    change = np.abs(texture[rows[a], columns[a]] - texture[rows[b], columns[b]]).mean(-1)
    return np.linalg.norm(points[a] - points[b], axis=-1), change


def _expected_change(inner_distance: np.ndarray, inner_change: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """What `distance` (in texels) apart differs by inside charts: binned means, falling to 0 at distance 0.

    Texels of different charts may lie closer together than any two of one chart; there the texture is taken to be
    what a renderer shows between texels, its linear interpolation.
    """
    edges = np.linspace(0, _REACH, _BINS + 1)
    which = np.digitize(inner_distance, edges) - 1
    count = np.bincount(which[which < _BINS], minlength=_BINS)
    near = inner_distance < edges[-1]
    full = count >= max(1, int(0.005 * near.sum()))
    mean_distance = np.bincount(which[near], inner_distance[near], _BINS)[full] / count[full]
    mean_change = np.bincount(which[near], inner_change[near], _BINS)[full] / count[full]
    return np.interp(distance, np.concatenate([[0.0], mean_distance]), np.concatenate([[0.0], mean_change]))
