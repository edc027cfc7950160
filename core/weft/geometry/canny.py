"""Edges of grey images after Canny 1986: one pixel thin, and weak ones only where they continue strong ones.

Gaussian (the binomial 1 4 6 4 1, σ = 1), Sobel, non-maximum suppression along the gradient's nearest of four
directions, hysteresis over eight neighbours. Thresholds are contrasts: a step between two flat areas, along rows or
columns, is an edge exactly where its height exceeds them. The border repeats, so a frame is no edge. The bytes do not
depend on the number of threads.
"""

from __future__ import annotations

import numba
import numpy as np

from weft.errors import InvalidInput
from weft.kernels import kernel, parallel_kernel

__all__ = ["canny"]

_TANGENT = np.float32(np.tan(np.pi / 8))  # of the bound between two of the four directions
_STEP = np.float32(40.0)  # Sobel after the binomial answers a straight step of height 1 so, times its 16


def canny(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """bool [N, H, W]: the edges of grey `images` f4 [N, H, W], any range, finite.

    Edges have a contrast above `low`, and some pixel of each connected one has more than `high`, in units of the
    images. Raises InvalidInput unless 0 ≤ low ≤ high.
    """
    if images.ndim != 3:
        raise InvalidInput(f"images of shape {list(images.shape)}, expected [N, H, W]")
    if not 0 <= low <= high:
        raise InvalidInput(f"thresholds {low:g} and {high:g}, expected 0 ≤ low ≤ high")
    edges = np.zeros(images.shape, np.uint8)
    if edges.size:
        _trace(np.ascontiguousarray(images, np.float32), np.float32(low) * _STEP, np.float32(high) * _STEP, edges)
    return edges.astype(bool)


@parallel_kernel
def _trace(images, low, high, edges):
    """Fill `edges` u1 [N, H, W] with 1 on edges; thresholds in units of the gradients."""
    count, height, width = images.shape
    for n in numba.prange(count):
        strength = np.zeros((height + 2, width + 2), np.float32)  # a border of 0 around the image
        direction = np.empty((height, width), np.uint8)
        _differentiate(_smooth(images[n]), strength, direction)
        _thin(strength, direction, low, high, edges[n])
        _connect(edges[n])


@kernel
def _smooth(image):
    """f4 [H + 2, W + 2]: 16 times the blurred image, with a repeated border of one pixel.

    Rows are blurred at 1/16, columns at 1: for images of few bits no operation rounds.
    """
    height, width = image.shape
    down = np.empty((height, width), np.float32)
    for i in range(height):
        a, b, d, e = max(i - 2, 0), max(i - 1, 0), min(i + 1, height - 1), min(i + 2, height - 1)
        for j in range(width):
            outer, inner = image[a, j] + image[e, j], image[b, j] + image[d, j]
            down[i, j] = (outer + np.float32(4) * inner + np.float32(6) * image[i, j]) * np.float32(0.0625)
    smooth = np.empty((height + 2, width + 2), np.float32)
    row = np.empty(width + 4, np.float32)
    for i in range(height):
        row[2 : width + 2] = down[i]
        row[:2] = down[i, 0]
        row[width + 2 :] = down[i, width - 1]
        for j in range(width):
            outer, inner = row[j] + row[j + 4], row[j + 1] + row[j + 3]
            smooth[i + 1, j + 1] = outer + np.float32(4) * inner + np.float32(6) * row[j + 2]
        smooth[i + 1, 0], smooth[i + 1, width + 1] = smooth[i + 1, 1], smooth[i + 1, width]
    smooth[0], smooth[height + 1] = smooth[1], smooth[height]
    return smooth


@kernel
def _differentiate(smooth, strength, direction):
    """The gradient's length into the inside of `strength`, and which way it points: 0 along a row, 1 down and to the
    right, 2 along a column, 3 down and to the left, or the opposites of these."""
    for i in range(direction.shape[0]):
        for j in range(direction.shape[1]):
            a, b, c = smooth[i, j], smooth[i, j + 1], smooth[i, j + 2]
            d, e = smooth[i + 1, j], smooth[i + 1, j + 2]
            f, g, h = smooth[i + 2, j], smooth[i + 2, j + 1], smooth[i + 2, j + 2]
            x = ((c + h) - (a + f)) + np.float32(2) * (e - d)
            y = ((f + h) - (a + c)) + np.float32(2) * (g - b)
            strength[i + 1, j + 1] = np.sqrt(x * x + y * y)
            flat, steep = abs(y) <= _TANGENT * abs(x), abs(x) <= _TANGENT * abs(y)
            direction[i, j] = 0 if flat else 2 if steep else 1 if (x > 0) == (y > 0) else 3


@kernel
def _thin(strength, direction, low, high, edges):
    """1 on weak, 2 on strong local maxima across the edge. Of two equal neighbours the right or lower one stays."""
    for i in range(direction.shape[0]):
        for j in range(direction.shape[1]):
            here = strength[i + 1, j + 1]
            if here <= low:
                continue
            towards = direction[i, j]
            di = 0 if towards == 0 else 1
            dj = 1 if towards < 2 else 0 if towards == 2 else -1
            if here >= strength[i + 1 - di, j + 1 - dj] and here > strength[i + 1 + di, j + 1 + dj]:
                edges[i, j] = 2 if here > high else 1


@kernel
def _connect(edges):
    """1 on strong edges and on weak ones that continue them, 0 elsewhere."""
    height, width = edges.shape
    waiting = np.empty(height * width, np.int32)
    count = 0
    for p in range(height * width):
        if edges[p // width, p % width] == 2:
            waiting[count] = p
            count += 1
    while count > 0:
        count -= 1
        i, j = waiting[count] // width, waiting[count] % width
        for row in range(max(i - 1, 0), min(i + 2, height)):
            for column in range(max(j - 1, 0), min(j + 2, width)):
                if edges[row, column] == 1:
                    edges[row, column] = 2
                    waiting[count] = row * width + column
                    count += 1
    for p in range(height * width):
        edges[p // width, p % width] //= 2
