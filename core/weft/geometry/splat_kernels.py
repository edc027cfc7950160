"""The splat rasteriser's kernels: footprints on the screen, their tiles, and what each adds to its pixels.

Kerbl et al., *3D Gaussian Splatting for Real-Time Radiance Field Rendering* (SIGGRAPH 2023), with the constants of
gsplat. A splat of covariance Σ at view coordinates (x, y, z) appears as a Gaussian of covariance J R Σ Rᵀ Jᵀ + 0.3 I
around its projected centre (Zwicker et al., "EWA volume splatting", 2001). With σ half the squared Mahalanobis distance
of a pixel's centre, front to back,

    α = min(0.999, opacity · exp(-σ)),  skipped if σ < 0 or α < 1/255,    weight = α T,    T ← T (1 - α)

and a pixel takes no splat that would leave T ≤ 1e-4, nor any behind it.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from weft.kernels import kernel, parallel_kernel

__all__ = ["LEAST_ALPHA", "MOST_ALPHA", "OPAQUE", "TILE", "bin_tiles", "composite", "footprints"]

TILE = 16  # pixels of a tile's side
_BLUR = 0.3  # px², added to every footprint's variance: none falls between the pixels
_REACH = 3.33  # standard deviations that a footprint reaches at most
LEAST_ALPHA = np.float32(1 / 255)
MOST_ALPHA = np.float32(0.999)
OPAQUE = np.float32(1e-4)  # T at which a pixel is finished
_ONE, _HALF = np.float32(1), np.float32(0.5)
_MARGIN = 1e-3  # pixels, for bounds taken from rounded numbers
_BEYOND = 0.15  # of the frame: a splat farther outside is projected as if it stood there, where J is still sound


@parallel_kernel
def footprints(means, covariances, opacities, matrix, lens, width, height, near, drawn, boxes, depths):
    """Project splats f4 [N, 3], [N, 6], [N]. `matrix` f8 [3, 4] leads to (right, up, depth), `lens` f8 holds fx, fy,
    cx, cy and whether the camera is perspective. Fills `drawn` f4 [N, 6]: x, y, the inverse covariance's xx, xy, yy,
    opacity; `boxes` i4 [N, 4]: first and last column and row, none for a splat that shows nowhere; `depths` f4 [N]."""
    fx, fy, cx, cy, perspective = lens[0], lens[1], lens[2], lens[3], lens[4] > 0
    low_x, high_x = -(cx + _BEYOND * width) / fx, (width - cx + _BEYOND * width) / fx
    low_y, high_y = -(cy + _BEYOND * height) / fy, (height - cy + _BEYOND * height) / fy
    for n in numba.prange(len(means)):
        boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3] = 1, 0, 1, 0
        u, v, w = means[n, 0], means[n, 1], means[n, 2]
        x = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2] * w + matrix[0, 3]
        y = -(matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2] * w + matrix[1, 3])
        z = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2] * w + matrix[2, 3]
        depths[n] = z
        if z < near or opacities[n] < LEAST_ALPHA:
            continue
        scale = 1 / z if perspective else 1.0
        slope_x = min(max(x * scale, low_x), high_x) * scale if perspective else 0.0
        slope_y = min(max(y * scale, low_y), high_y) * scale if perspective else 0.0
        # The rows of J R, (∂column, ∂row) / ∂(world).
        a0 = fx * (scale * matrix[0, 0] - slope_x * matrix[2, 0])
        a1 = fx * (scale * matrix[0, 1] - slope_x * matrix[2, 1])
        a2 = fx * (scale * matrix[0, 2] - slope_x * matrix[2, 2])
        b0 = fy * (-scale * matrix[1, 0] - slope_y * matrix[2, 0])
        b1 = fy * (-scale * matrix[1, 1] - slope_y * matrix[2, 1])
        b2 = fy * (-scale * matrix[1, 2] - slope_y * matrix[2, 2])
        s00, s01, s02 = covariances[n, 0], covariances[n, 1], covariances[n, 2]
        s11, s12, s22 = covariances[n, 3], covariances[n, 4], covariances[n, 5]
        t0 = s00 * a0 + s01 * a1 + s02 * a2
        t1 = s01 * a0 + s11 * a1 + s12 * a2
        t2 = s02 * a0 + s12 * a1 + s22 * a2
        xx = a0 * t0 + a1 * t1 + a2 * t2 + _BLUR
        xy = b0 * t0 + b1 * t1 + b2 * t2
        yy = b0 * (s00 * b0 + s01 * b1 + s02 * b2) + b1 * (s01 * b0 + s11 * b1 + s12 * b2) + _BLUR
        yy += b2 * (s02 * b0 + s12 * b1 + s22 * b2)
        determinant = xx * yy - xy * xy
        column, row = cx + fx * x * scale, cy + fy * y * scale
        if not (determinant > 0 and math.isfinite(column) and math.isfinite(row) and math.isfinite(xx + yy)):
            continue
        reach = min(_REACH, math.sqrt(2 * math.log(255.0 * opacities[n])))
        wide, high = reach * math.sqrt(xx) + _MARGIN, reach * math.sqrt(yy) + _MARGIN
        if column + wide < 0 or column - wide > width or row + high < 0 or row - high > height:
            continue
        boxes[n, 0] = max(0, math.ceil(max(column - wide, 0.0) - 0.5))
        boxes[n, 1] = min(width - 1, math.floor(min(column + wide, width) - 0.5))
        boxes[n, 2] = max(0, math.ceil(max(row - high, 0.0) - 0.5))
        boxes[n, 3] = min(height - 1, math.floor(min(row + high, height) - 0.5))
        drawn[n, 0], drawn[n, 1] = column, row
        drawn[n, 2], drawn[n, 3], drawn[n, 4] = yy / determinant, -xy / determinant, xx / determinant
        drawn[n, 5] = opacities[n]


@kernel
def bin_tiles(boxes, width, height):
    """(starts i8 [tiles + 1], splats i4 [entries]): the splats that touch each tile, in the order of `boxes` i4 [M, 4],
    all of which show somewhere. Tiles are counted row by row."""
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    starts = np.zeros(across * down + 1, np.int64)
    for n in range(len(boxes)):
        for row in range(boxes[n, 2] // TILE, boxes[n, 3] // TILE + 1):
            for column in range(boxes[n, 0] // TILE, boxes[n, 1] // TILE + 1):
                starts[row * across + column + 1] += 1
    for tile in range(across * down):
        starts[tile + 1] += starts[tile]
    cursor, splats = starts[:-1].copy(), np.empty(starts[-1], np.int32)
    for n in range(len(boxes)):
        for row in range(boxes[n, 2] // TILE, boxes[n, 3] // TILE + 1):
            for column in range(boxes[n, 0] // TILE, boxes[n, 1] // TILE + 1):
                tile = row * across + column
                splats[cursor[tile]] = n
                cursor[tile] += 1
    return starts, splats


@parallel_kernel
def composite(
    tile_starts, tile_splats, drawn, boxes, width, height, least, counts, through, row_starts, splats, weights
):
    """Count the weights ≥ `least` of every pixel (`counts` i4 [H·W]) and its transmittance (`through` f4 [H·W]).

    With `row_starts` i4 [H·W + 1] from such counts also fill `splats` i4 [E] and `weights` f4 [E], front to back and
    scaled so that a pixel's kept weights sum to 1 - T; without entries (E = 0) `row_starts` is not read. Every pixel
    belongs to one tile and every tile to one thread.
    """
    across, filling = (width + TILE - 1) // TILE, len(splats) > 0
    for tile in numba.prange(len(tile_starts) - 1):
        top, left = tile // across * TILE, tile % across * TILE
        bottom, right = min(top + TILE, height), min(left + TILE, width)
        open_pixels = (bottom - top) * (right - left)
        finished = np.zeros((TILE, TILE), np.bool_)
        for row in range(top, bottom):
            for column in range(left, right):
                counts[row * width + column] = 0
                through[row * width + column] = _ONE
        for entry in range(tile_starts[tile], tile_starts[tile + 1]):
            if open_pixels == 0:
                break
            n = tile_splats[entry]
            x, y, opacity = drawn[n, 0], drawn[n, 1], drawn[n, 5]
            xx, xy, yy = drawn[n, 2], drawn[n, 3], drawn[n, 4]
            for row in range(max(top, boxes[n, 2]), min(bottom, boxes[n, 3] + 1)):
                dy = np.float32(row) + _HALF - y
                for column in range(max(left, boxes[n, 0]), min(right, boxes[n, 1] + 1)):
                    if finished[row - top, column - left]:
                        continue
                    dx = np.float32(column) + _HALF - x
                    sigma = _HALF * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
                    if sigma < 0:
                        continue
                    alpha = min(MOST_ALPHA, opacity * np.float32(math.exp(-sigma)))
                    if alpha < LEAST_ALPHA:
                        continue
                    pixel = row * width + column
                    behind = through[pixel] * (_ONE - alpha)
                    if behind <= OPAQUE:
                        finished[row - top, column - left] = True
                        open_pixels -= 1
                        continue
                    weight = alpha * through[pixel]
                    through[pixel] = behind
                    if weight >= least:
                        if filling:
                            at = row_starts[pixel] + counts[pixel]
                            splats[at], weights[at] = n, weight
                        counts[pixel] += 1
        if filling:
            for row in range(top, bottom):
                for column in range(left, right):
                    pixel = row * width + column
                    first, last = row_starts[pixel], row_starts[pixel] + counts[pixel]
                    kept = np.float32(0)
                    for at in range(first, last):
                        kept += weights[at]
                    for at in range(first, last):
                        weights[at] *= (_ONE - through[pixel]) / kept
