"""The three loops of the exemplar denoiser that run on the CPU: approximate matching, its warm start, and emission.

A *query* is a patch of the noisy image on a grid of `stride` coarse pixels; its matches are *offsets* (row, column) of
the patch's corner in the exemplar at full resolution, best first, -1 where there is none. Matching happens in a
low-dimensional appearance space (Lefebvre & Hoppe 2006): patches projected to their leading principal components.

Reassociation is allowed here (sums of squares, nothing that has to be exact), so that inner loops vectorise; results
are still identical for any number of threads, because every query is computed by one of them from its own seed.
"""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import kernel, parallel_kernel

__all__ = ["emit", "patch_match", "seed_matches"]


@kernel(reassociate=True)
def _next(state):
    """One step of xorshift64 (Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@kernel(reassociate=True)
def _distance(query, features, row, column):
    total = np.float32(0)
    for k in range(query.shape[0]):
        difference = query[k] - features[row, column, k]
        total += difference * difference
    return total


@kernel(reassociate=True)
def _insert(offsets, costs, row, column, cost):
    """Keep the list sorted by cost and free of repeats."""
    last = costs.shape[0] - 1
    if cost >= costs[last]:
        return
    for k in range(last + 1):
        if offsets[k, 0] == row and offsets[k, 1] == column:
            return
    k = last
    while k > 0 and costs[k - 1] > cost:
        costs[k] = costs[k - 1]
        offsets[k, 0] = offsets[k - 1, 0]
        offsets[k, 1] = offsets[k - 1, 1]
        k -= 1
    costs[k] = cost
    offsets[k, 0] = row
    offsets[k, 1] = column


@parallel_kernel(reassociate=True)
def patch_match(queries, features, penalty, active, old, new, costs, step, reach, spread, coherence, seed):
    """One Jacobi iteration of PatchMatch (Barnes et al. 2009), writing `new` and `costs` from `old`.

    queries f4 [N, h, w, k], features f4 [H, W, k], penalty f4 [H, W] added to every cost, active bool [N, h, w],
    old / new i4 [N, h, w, K, 2], costs f4 [N, h, w, K]. `step` is the distance of two queries in exemplar pixels,
    `reach` how many queries away neighbours propose, `spread` the radius of the two local trials. Costs of neighbours'
    proposals are multiplied by `coherence` ≤ 1, which favours copying connected pieces.
    """
    images, height, width, matches = old.shape[:4]
    rows, columns = features.shape[:2]
    for line in numba.prange(images * height):
        n, i = line // height, line % height
        state = (
            np.uint64(seed) * np.uint64(2654435761) + np.uint64(line) * np.uint64(104729) + np.uint64(88172645463325252)
        )
        for _ in range(4):
            state = _next(state)
        for j in range(width):
            if not active[n, i, j]:
                continue
            query = queries[n, i, j]
            found, cost = new[n, i, j], costs[n, i, j]
            for k in range(matches):
                found[k, 0] = -1
                found[k, 1] = -1
                cost[k] = np.float32(1e30)
            for k in range(matches):
                row, column = old[n, i, j, k, 0], old[n, i, j, k, 1]
                if row >= 0:
                    _insert(found, cost, row, column, _distance(query, features, row, column) + penalty[row, column])
            for side in range(4):
                di = reach if side == 0 else (-reach if side == 1 else 0)
                dj = reach if side == 2 else (-reach if side == 3 else 0)
                a, b = i + di, j + dj
                if a < 0 or b < 0 or a >= height or b >= width or not active[n, a, b]:
                    continue
                for k in range(min(2, matches)):
                    if old[n, a, b, k, 0] < 0:
                        continue
                    row = old[n, a, b, k, 0] - di * step
                    column = old[n, a, b, k, 1] - dj * step
                    if row < 0 or column < 0 or row >= rows or column >= columns:
                        continue
                    known = False
                    for q in range(matches):
                        known = known or (found[q, 0] == row and found[q, 1] == column)
                    if not known:
                        trial = _distance(query, features, row, column) * coherence + penalty[row, column]
                        _insert(found, cost, row, column, trial)
            best_row, best_column = found[0, 0], found[0, 1]
            for trial_index in range(3):
                state = _next(state)
                u = np.int64(state >> np.uint64(33))
                state = _next(state)
                v = np.int64(state >> np.uint64(33))
                if trial_index < 2 and best_row >= 0:
                    row = min(max(best_row - spread + u % (2 * spread + 1), 0), rows - 1)
                    column = min(max(best_column - spread + v % (2 * spread + 1), 0), columns - 1)
                else:
                    row, column = u % rows, v % columns
                _insert(found, cost, row, column, _distance(query, features, row, column) + penalty[row, column])


@parallel_kernel(reassociate=True)
def seed_matches(old, old_step, new, step, centre_shift, rows, columns):
    """Start the matches of a finer level from those of a coarser one (or of another grid).

    old i4 [N, a, b, K, 2] on a grid of `old_step` pixels, new i4 [N, h, w, K', 2] on a grid of `step` pixels;
    `centre_shift` = half the difference of the patch sides in pixels, so that a fine patch starts where it lies inside
    the coarse one. Offsets are clamped to [0, rows) x [0, columns).
    """
    images, height, width, matches = new.shape[:4]
    for line in numba.prange(images * height):
        n, i = line // height, line % height
        for j in range(width):
            y, x = i * step - centre_shift, j * step - centre_shift
            count = 0
            for corner in range(4):
                a = int(np.floor(y / old_step)) + corner // 2
                b = int(np.floor(x / old_step)) + corner % 2
                a = min(max(a, 0), old.shape[1] - 1)
                b = min(max(b, 0), old.shape[2] - 1)
                if old[n, a, b, 0, 0] < 0 or count >= matches:
                    continue
                row = min(max(old[n, a, b, 0, 0] + i * step - a * old_step, 0), rows - 1)
                column = min(max(old[n, a, b, 0, 1] + j * step - b * old_step, 0), columns - 1)
                known = False
                for q in range(count):
                    known = known or (new[n, i, j, q, 0] == row and new[n, i, j, q, 1] == column)
                if not known:
                    new[n, i, j, count, 0] = row
                    new[n, i, j, count, 1] = column
                    count += 1
            for k in range(count, matches):
                new[n, i, j, k, 0] = -1
                new[n, i, j, k, 1] = -1


@parallel_kernel(reassociate=True)
def emit(exemplar, offsets, weights, active, window, step, grain, first, last, background, out):
    """Overlap-average the matched exemplar blocks: the posterior mean at every pixel.

    exemplar f4 [H, W, C], averaged over `grain` x `grain` pixels at every offset; out, window, step, first and last
    count in cells of that size. offsets i4 [N, h, w, K, 2]; weights f4 [N, h, w, K] summing to 1; window f4 [side] the
    separable weight inside a patch of `side` pixels, of which pixels first .. last-1 are emitted (all of them by the
    outermost queries, so that the border is covered); out f4 [N, Y, X, C] gets `background` where no query is active.
    """
    images, height, width, matches = offsets.shape[:4]
    size_y, size_x, channels = out.shape[1:]
    side = window.shape[0]
    for line in numba.prange(images * size_y):
        n, y = line // size_y, line % size_y
        i0 = min(max(-((last - 1 - y) // step), 0), height - 1)
        i1 = min(max((y - first) // step, 0), height - 1)
        for x in range(size_x):
            j0 = min(max(-((last - 1 - x) // step), 0), width - 1)
            j1 = min(max((x - first) // step, 0), width - 1)
            total = np.float32(0)
            for c in range(channels):
                out[n, y, x, c] = 0
            for i in range(i0, i1 + 1):
                dy = y - i * step
                if dy < 0 or dy >= side:
                    continue
                for j in range(j0, j1 + 1):
                    dx = x - j * step
                    if dx < 0 or dx >= side or not active[n, i, j]:
                        continue
                    here = window[dy] * window[dx]
                    for k in range(matches):
                        if weights[n, i, j, k] < np.float32(1e-4):
                            continue
                        weight = weights[n, i, j, k] * here
                        row, column = offsets[n, i, j, k, 0] + dy * grain, offsets[n, i, j, k, 1] + dx * grain
                        total += weight
                        for c in range(channels):
                            out[n, y, x, c] += weight * exemplar[row, column, c]
            for c in range(channels):
                out[n, y, x, c] = out[n, y, x, c] / total if total > 0 else background[c]
