"""Splats on the screen to pixels, and back: what pixels want, told to every splat that they show.

The rule is that of `geometry.splat_kernels` (gsplat's): front to back, with σ half the squared Mahalanobis distance,

    α = min(0.999, o·exp(-σ)), skipped if σ < 0 or α < 1/255,    w = α T,    T ← T (1 - α),    T > 1e-4 always.

An image is Σ w c + T·background. With v = g·c of a splat and a pixel's gradient g, and A the sum of w v so far, what
lies behind adds up to R - A, all of it dimmed by 1 - α:  ∂L/∂α = T v - (R - A) / (1 - α).

Tiles are one vector register wide and the inner loops have no branches, so that the compiler makes them vector code.
Each entry of a tile gets its own row of gradients and `gathered` adds them up in their order: the bytes do not depend
on the number of threads. The kernels take float32, and float64 for tests.
"""

from __future__ import annotations

import numba
import numpy as np

from weft.geometry.splat_kernels import LEAST_ALPHA, MOST_ALPHA, OPAQUE
from weft.kernels import kernel, parallel_kernel

__all__ = ["TILE", "backward", "binned", "composite", "gathered"]

TILE = 8  # pixels of a tile's side
_PIXELS = TILE * TILE
_LANES = 64  # tiles are dealt to so many lanes in turn: neighbours, which cost alike, go to different threads
_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)
_FARTHEST = np.float32(6)  # σ: exp(-6) < 1/255
_SIXTEENTH = np.float32(1 / 16)
_EXP = np.array([1 / 720, -1 / 120, 1 / 24, -1 / 6, 1 / 2, -1], np.float32)
_CHECKED = 16  # entries between two looks whether a tile is finished
# Rows of a tile's scratch memory, one array so that the compiler sees that they do not overlap.
_LIGHT, _LEFT, _RED, _GREEN, _BLUE, _DEEP = (_PIXELS * k for k in range(6))  # T or 0 when finished; T; sums of w·(…)
_ACROSS, _DOWN = _PIXELS * 6, _PIXELS * 7  # centres of the pixels
_SUM, _TOTAL = _PIXELS * 5, _PIXELS * 8  # A and R


@kernel
def binned(order, boxes, across, down):
    """(starts i8 [tiles + 1], splats i4 [E]): the splats that touch each tile, in `order` i8 [M]. `boxes` i4 [N, 4] are
    first and last column and row in pixels; tiles are counted row by row."""
    starts = np.zeros(across * down + 1, np.int64)
    for n in order:
        for row in range(boxes[n, 2] // TILE, boxes[n, 3] // TILE + 1):
            for column in range(boxes[n, 0] // TILE, boxes[n, 1] // TILE + 1):
                starts[row * across + column + 1] += 1
    for tile in range(across * down):
        starts[tile + 1] += starts[tile]
    cursor, splats = starts[:-1].copy(), np.empty(starts[-1], np.int32)
    for n in order:
        for row in range(boxes[n, 2] // TILE, boxes[n, 3] // TILE + 1):
            for column in range(boxes[n, 0] // TILE, boxes[n, 1] // TILE + 1):
                tile = row * across + column
                splats[cursor[tile]] = n
                cursor[tile] += 1
    return starts, splats


@kernel(reassociate=True)
def _falloff(sigma):
    """exp(-σ) of 0 ≤ σ ≤ 6 to 3e-6, in operations that vectorise: a polynomial of σ/16, to the 16th power."""
    u = min(sigma, _FARTHEST) * _SIXTEENTH
    value = ((((_EXP[0] * u + _EXP[1]) * u + _EXP[2]) * u + _EXP[3]) * u + _EXP[4]) * u * u + _EXP[5] * u + _ONE
    value *= value
    value *= value
    value *= value
    return value * value


@kernel(reassociate=True)
def _opened(scratch, top, left):
    """A tile before its first splat."""
    scratch[:_LEFT] = _ONE
    scratch[_LEFT:_RED] = _ONE
    scratch[_RED:_ACROSS] = _ZERO
    for pixel in range(_PIXELS):
        scratch[_ACROSS + pixel] = np.float32(left + pixel % TILE) + _HALF
        scratch[_DOWN + pixel] = np.float32(top + pixel // TILE) + _HALF


@kernel(reassociate=True)
def _finished(scratch):
    light = scratch[0] * _ZERO
    for pixel in range(_PIXELS):
        light += scratch[pixel]
    return light <= 0


@parallel_kernel(reassociate=True)
def composite(starts, splats, drawn, boxes, colors, depths, background, image, through, depth):
    """Fill `image` [H, W, 3], transmittance `through` [H, W] and Σ w·depth `depth` [H, W] from tiles (`binned`) of
    splats: `drawn` [N, 6] are x, y in pixels, the inverse covariance's xx, xy, yy, and opacity; `colors` [N, 3]."""
    height, width = through.shape
    across = (width + TILE - 1) // TILE
    tiles = len(starts) - 1
    for lane in numba.prange(_LANES):
        scratch = np.empty(8 * _PIXELS, image.dtype)
        for tile in range(lane, tiles, _LANES):
            top, left = tile // across * TILE, tile % across * TILE
            _opened(scratch, top, left)
            for entry in range(starts[tile], starts[tile + 1]):
                if (entry - starts[tile]) % _CHECKED == _CHECKED - 1 and _finished(scratch):
                    break
                n = splats[entry]
                first = (max(top, boxes[n, 2]) - top) * TILE
                last = (min(top + TILE - 1, boxes[n, 3]) - top + 1) * TILE
                _lay(scratch[first:], last - first, drawn[n], colors[n], depths[n])
            for row in range(top, min(top + TILE, height)):
                for column in range(left, min(left + TILE, width)):
                    pixel = (row - top) * TILE + column - left
                    left_over = scratch[_LEFT + pixel]
                    through[row, column] = left_over
                    depth[row, column] = scratch[_DEEP + pixel]
                    for c in range(3):
                        image[row, column, c] = scratch[_RED + c * _PIXELS + pixel] + left_over * background[c]


@kernel(reassociate=True)
def _lay(pixels, count, drawn, color, deep):
    """One splat over `count` pixels."""
    x, y, xx, xy, yy, opacity = drawn[0], drawn[1], drawn[2], drawn[3], drawn[4], drawn[5]
    red, green, blue = color[0], color[1], color[2]
    for p in range(count):
        dx, dy = pixels[p + _ACROSS] - x, pixels[p + _DOWN] - y
        sigma = _HALF * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        alpha = min(MOST_ALPHA, opacity * _falloff(sigma))
        alpha = alpha if (sigma >= 0) & (alpha >= LEAST_ALPHA) else _ZERO
        light = pixels[p]
        after = light * (_ONE - alpha)
        taken = after > OPAQUE
        weight = light * alpha if taken else _ZERO
        pixels[p] = after if taken else _ZERO
        pixels[p + _LEFT] = after if taken else pixels[p + _LEFT]
        pixels[p + _RED] += weight * red
        pixels[p + _GREEN] += weight * green
        pixels[p + _BLUE] += weight * blue
        pixels[p + _DEEP] += weight * deep


@parallel_kernel(reassociate=True)
def backward(starts, splats, drawn, boxes, colors, image, wanted, gradients):
    """Fill `gradients` [E, 9], of every entry of a tile: ∂L/∂ x, y, xx, xy, yy, opacity, red, green, blue, from what
    `composite` made (`image`) and ∂L/∂image, `wanted` [H, W, 3]."""
    height, width = image.shape[:2]
    across = (width + TILE - 1) // TILE
    tiles = len(starts) - 1
    for lane in numba.prange(_LANES):
        scratch = np.empty(9 * _PIXELS, image.dtype)
        for tile in range(lane, tiles, _LANES):
            top, left = tile // across * TILE, tile % across * TILE
            _opened(scratch, top, left)
            scratch[_TOTAL:] = _ZERO
            for row in range(top, min(top + TILE, height)):
                for column in range(left, min(left + TILE, width)):
                    pixel = (row - top) * TILE + column - left
                    for c in range(3):
                        scratch[_RED + c * _PIXELS + pixel] = wanted[row, column, c]
                        scratch[_TOTAL + pixel] += wanted[row, column, c] * image[row, column, c]
            entries = starts[tile + 1]
            for entry in range(starts[tile], starts[tile + 1]):
                if (entry - starts[tile]) % _CHECKED == _CHECKED - 1 and _finished(scratch):
                    entries = entry
                    break
                n = splats[entry]
                first = (max(top, boxes[n, 2]) - top) * TILE
                last = (min(top + TILE - 1, boxes[n, 3]) - top + 1) * TILE
                _lift(scratch[first:], last - first, drawn[n], colors[n], gradients[entry])
            gradients[entries : starts[tile + 1]] = _ZERO


@kernel(reassociate=True)
def _lift(pixels, count, drawn, color, gradient):
    """What `count` pixels want of one splat that lies over them."""
    x, y, xx, xy, yy, opacity = drawn[0], drawn[1], drawn[2], drawn[3], drawn[4], drawn[5]
    red, green, blue = color[0], color[1], color[2]
    zero = x * _ZERO
    to_red, to_green, to_blue = zero, zero, zero
    fall, fall_x, fall_y, fall_xx, fall_xy, fall_yy = zero, zero, zero, zero, zero, zero  # Σ ∂L/∂σ · (1, dx, dy, …)
    for p in range(count):
        dx, dy = pixels[p + _ACROSS] - x, pixels[p + _DOWN] - y
        sigma = _HALF * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        free = opacity * _falloff(sigma)
        alpha = min(MOST_ALPHA, free)
        alpha = alpha if (sigma >= 0) & (alpha >= LEAST_ALPHA) else _ZERO
        light = pixels[p]
        behind = _ONE - alpha
        after = light * behind
        taken = after > OPAQUE
        weight = light * alpha if taken else _ZERO
        pixels[p] = after if taken else _ZERO
        value = pixels[p + _RED] * red + pixels[p + _GREEN] * green + pixels[p + _BLUE] * blue
        so_far = pixels[p + _SUM] + weight * value
        pixels[p + _SUM] = so_far
        to_red += weight * pixels[p + _RED]
        to_green += weight * pixels[p + _GREEN]
        to_blue += weight * pixels[p + _BLUE]
        # ∂α/∂σ = -α, and 0 where α is held at its limit.
        held = (free > MOST_ALPHA) | (not taken)
        slope = _ZERO if held else (np.divide(pixels[p + _TOTAL] - so_far, behind) - light * value) * alpha
        fall += slope
        fall_x += slope * dx
        fall_y += slope * dy
        fall_xx += slope * dx * dx
        fall_xy += slope * dx * dy
        fall_yy += slope * dy * dy
    gradient[0] = -(xx * fall_x + xy * fall_y)
    gradient[1] = -(yy * fall_y + xy * fall_x)
    gradient[2] = _HALF * fall_xx
    gradient[3] = fall_xy
    gradient[4] = _HALF * fall_yy
    gradient[5] = -fall / opacity
    gradient[6] = to_red
    gradient[7] = to_green
    gradient[8] = to_blue


@kernel
def gathered(splats, gradients, count):
    """[N, 9], the sum of every splat's rows of `gradients` [E, 9]."""
    total = np.zeros((count, 9), gradients.dtype)
    for entry in range(len(splats)):
        for k in range(9):
            total[splats[entry], k] += gradients[entry, k]
    return total
