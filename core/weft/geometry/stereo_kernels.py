"""The loops of one view's stereo: comparing pictures along planes of one depth, and making neighbours agree."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["semi_global", "sharpen_jumps", "sweep", "window_weights"]

_TINY = np.float32(4e-5)  # variance of a window in which there is nothing but noise
_NEUTRAL = np.float32(1)  # the cost of a match by chance


@parallel_kernel(reassociate=True)
def window_weights(image, grey, reach, falloff, weights, mean, variance):
    """How much each pixel of the window around a pixel belongs to what the pixel shows: exp(-|colour difference| /
    falloff), and to the centre (Yoon and Kweon 2006). image f4 [H + 2 reach, W + 2 reach, 3] and its grey; weights f4
    [H, taps, W], normalised; with them the window's mean and variance f4 [H, W] of grey."""
    height, taps, width = weights.shape
    side = 2 * reach + 1
    for i in numba.prange(height):
        for j in range(width):
            total = np.float32(0)
            for t in range(taps):
                y, x = t // side, t % side
                off = np.float32(0)
                for c in range(3):
                    off += abs(image[i + y, j + x, c] - image[i + reach, j + reach, c])
                far = np.float32((y - reach) ** 2 + (x - reach) ** 2) / np.float32(2 * reach * reach)
                w = np.exp(-off / falloff - far)
                weights[i, t, j] = w
                total += w
            first = second = np.float32(0)
            for t in range(taps):
                weights[i, t, j] /= total
                value = grey[i + t // side, j + t % side]
                first += weights[i, t, j] * value
                second += weights[i, t, j] * value * value
            mean[i, j], variance[i, j] = first, second - first * first


@parallel_kernel(reassociate=True)
def sweep(reference, weights, mean, variance, sources, rays, shifts, inverse, reach, cost):
    """How badly the reference matches its sources if all of it lay at one depth, for many depths.

    reference f4 [H + 2 reach, W + 2 reach] grey, with what `window_weights` gives; sources f4 [K, H, W]. A pixel
    (x, y, 1) of the reference lies at rays[k] (x, y, 1) + inverse[d] shifts[k] in source k, in homogeneous coordinates
    (rays f4 [K, 3, 3], shifts f4 [K, 3], inverse f4 [D]). Writes cost f4 [H, W, D] in [0, 1]: 1 - ZNCC over the better
    half of the sources that see the place; 1 where none does.
    """
    height, taps, width = weights.shape
    count, source_height, source_width = sources.shape
    side = 2 * reach + 1
    for d in numba.prange(len(inverse)):
        warped = np.empty((height + 2 * reach, width + 2 * reach), np.float32)
        inside = np.empty((height, width), np.bool_)
        best = np.full((count, height, width), np.float32(2), np.float32)
        seen = np.zeros((height, width), np.int32)
        a, b, c = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
        for k in range(count):
            for i in range(height + 2 * reach):
                y = np.float32(i - reach) + np.float32(0.5)
                for j in range(width + 2 * reach):
                    x = np.float32(j - reach) + np.float32(0.5)
                    z = rays[k, 2, 0] * x + rays[k, 2, 1] * y + rays[k, 2, 2] + inverse[d] * shifts[k, 2]
                    front = z > np.float32(1e-6)
                    scale = np.float32(1) / z if front else np.float32(0)
                    u = rays[k, 0, 0] * x + rays[k, 0, 1] * y + rays[k, 0, 2] + inverse[d] * shifts[k, 0]
                    w = rays[k, 1, 0] * x + rays[k, 1, 1] * y + rays[k, 1, 2] + inverse[d] * shifts[k, 1]
                    u, w = u * scale - np.float32(0.5), w * scale - np.float32(0.5)
                    if reach <= i < height + reach and reach <= j < width + reach:
                        inside[i - reach, j - reach] = (
                            front and u >= -0.5 and w >= -0.5 and u <= source_width - 0.5 and w <= source_height - 0.5
                        )
                    u = min(max(u, np.float32(0)), np.float32(source_width - 1.001))
                    w = min(max(w, np.float32(0)), np.float32(source_height - 1.001))
                    q, r = int(u), int(w)
                    u, w = u - q, w - r
                    top = sources[k, r, q] * (1 - u) + sources[k, r, q + 1] * u
                    bottom = sources[k, r + 1, q] * (1 - u) + sources[k, r + 1, q + 1] * u
                    warped[i, j] = top * (1 - w) + bottom * w
            for i in range(height):
                a[:], b[:], c[:] = 0, 0, 0
                for t in range(taps):
                    y, x = i + t // side, t % side
                    for j in range(width):
                        s = warped[y, j + x]
                        w = weights[i, t, j] * s
                        a[j] += w
                        b[j] += w * s
                        c[j] += w * reference[y, j + x]
                for j in range(width):
                    if not inside[i, j]:
                        continue
                    seen[i, j] += 1
                    spread = (b[j] - a[j] * a[j] + _TINY) * (variance[i, j] + _TINY)
                    one = np.float32(1) - (c[j] - a[j] * mean[i, j]) / np.sqrt(max(spread, _TINY * _TINY))
                    one = min(max(one, np.float32(0)), _NEUTRAL)
                    place = k
                    while place > 0 and best[place - 1, i, j] > one:
                        best[place, i, j] = best[place - 1, i, j]
                        place -= 1
                    best[place, i, j] = one
        for i in range(height):
            for j in range(width):
                half = (seen[i, j] + 1) // 2
                total = np.float32(0)
                for k in range(half):
                    total += best[k, i, j]
                cost[i, j, d] = total / half if half > 0 else _NEUTRAL


@parallel_kernel(reassociate=True)
def semi_global(cost, guide, small, large, falloff, total):
    """Adds to total f4 [H, W, D] the costs of the cheapest paths to every pixel from the eight directions (Hirschmüller
    2008, eq. 13): one plane's step costs `small`, a jump `large`, less across edges of guide f4 [H, W, 3]."""
    height, width, depths = cost.shape
    for direction in range(8):
        dy, dx = (0, 0, 1, -1, 1, 1, -1, -1)[direction], (1, -1, 0, 0, 1, -1, 1, -1)[direction]
        # Every path is walked by itself: those that begin on the border rows (all but sideways) and border columns.
        for line in numba.prange(height + width):
            path = np.int64(line)
            if path < height:
                if dx == 0:
                    continue
                i, j = path, (0 if dx > 0 else width - 1)
            else:
                if dy == 0:
                    continue
                i, j = (0 if dy > 0 else height - 1), path - height
                if (dx > 0 and j == 0) or (dx < 0 and j == width - 1):
                    continue  # the border column's path
            last, here = np.zeros(depths + 2, np.float32), np.zeros(depths + 2, np.float32)
            last[0] = last[-1] = here[0] = here[-1] = np.float32(1e9)
            least = np.float32(0)
            r, q = i, j
            while 0 <= i < height and 0 <= j < width:
                off = np.float32(0)
                for c in range(3):
                    off += abs(guide[i, j, c] - guide[r, q, c])
                jump = least + max(large * np.exp(-off / falloff), np.float32(1.5) * small)
                low = np.float32(1e9)
                for d in range(depths):
                    step = min(last[d + 1], min(last[d], last[d + 2]) + small)
                    value = cost[i, j, d] + min(step, jump) - least
                    here[d + 1] = value
                    low = min(low, value)
                for d in range(depths):
                    total[i, j, d] += here[d + 1]
                least = low
                last, here = here, last
                r, q = i, j
                i, j = i + dy, j + dx


@parallel_kernel
def sharpen_jumps(inverse, guide, reach, share, falloff, out):
    """The median of inverse depth f4 [H, W] (0 = unknown) around every pixel, weighed by how like its colour in guide
    f4 [H, W, 3] the others are (Ma et al. 2013), where neighbours differ by more than the part `share`: depth jumps
    move to where colours change, which windows blur by their own size. Elsewhere and where unknown, out is inverse."""
    height, width = inverse.shape
    for line in numba.prange(height):
        i = np.int64(line)
        values, weights = np.empty((2 * reach + 1) ** 2, np.float32), np.empty((2 * reach + 1) ** 2, np.float32)
        for j in range(width):
            out[i, j] = inverse[i, j]
            if inverse[i, j] == 0:
                continue
            n, total = 0, np.float32(0)
            jumps = False
            for r in range(max(i - reach, 0), min(i + reach + 1, height)):
                for q in range(max(j - reach, 0), min(j + reach + 1, width)):
                    if inverse[r, q] == 0:
                        continue
                    off = np.float32(0)
                    for c in range(3):
                        off += abs(guide[r, q, c] - guide[i, j, c])
                    far = np.float32((r - i) ** 2 + (q - j) ** 2) / np.float32(reach * reach)
                    values[n], weights[n] = inverse[r, q], np.exp(-off / falloff - far)
                    for y, x in ((r + 1, q), (r, q + 1)):
                        if y < height and x < width and inverse[y, x] > 0:
                            low, high = min(inverse[r, q], inverse[y, x]), max(inverse[r, q], inverse[y, x])
                            jumps = jumps or high > low * (1 + share)
                    total += weights[n]
                    n += 1
            if not jumps:
                continue
            order = np.argsort(values[:n])
            below = np.float32(0)
            for k in range(n):
                below += weights[order[k]]
                if below >= total / 2:
                    out[i, j] = values[order[k]]
                    break
