"""Sparse products on other devices than the CPU, by segment sums that give the same bytes every time.

torch's own product of compressed rows calls cuSPARSE with an algorithm that does not promise the same bits twice, and
the one of coordinates adds atomically. Here the entries are multiplied one by one, and a segment sum adds each row's in
storage order, one thread to a row and channel, as the CPU's kernel does. Rows of more than `PIECE` entries (a splat
that fills many views) are summed in pieces, then the pieces: a few more roundings, and no thread that all others wait
for. All of it is ordinary torch, so that the CPU runs it too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["CHUNK", "PIECE", "DeviceRows", "rows_on", "segment_product"]

PIECE = 1024  # entries that one thread adds up
CHUNK = 1 << 24  # entries that are multiplied at once: bounds the working memory, 64 MiB a channel


@dataclass(frozen=True, eq=False)
class DeviceRows:
    """Compressed rows on one device."""

    indices: Tensor  # i4 [entries]
    values: Tensor  # f4 [entries, 1]
    empty: Tensor  # bool [R, 1], rows without entries
    chunks: tuple[tuple[slice, Tensor], ...]  # entries, and where their segments begin and end, i4, from 0
    levels: tuple[Tensor, ...]  # i4, segments of the sums before, until one is left for each row


def rows_on(
    device: torch.device,
    row_starts: NDArray[np.int32],  # [R + 1]
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
) -> DeviceRows:
    """Upload a matrix."""
    segments, *levels = _levels(row_starts)

    def upload(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    chunks = []
    for begin, end in _chunks(segments):
        own = segments[begin : end + 1]
        chunks.append((slice(int(own[0]), int(own[-1])), upload(own - own[0])))
    empty = upload(np.diff(row_starts) == 0)[:, None]
    return DeviceRows(upload(indices), upload(values)[:, None], empty, tuple(chunks), tuple(map(upload, levels)))


def _levels(row_starts: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Where segments begin and end: of entries first, then of the sums before, no segment longer than `PIECE`."""
    levels, starts = [], row_starts
    while (counts := np.diff(starts)).max(initial=0) > PIECE:
        pieces = -(-counts // PIECE)
        firsts = np.append(0, np.cumsum(pieces)).astype(np.int32)
        number = np.arange(firsts[-1]) - np.repeat(firsts[:-1], pieces)  # of a piece in its row
        levels.append(np.append(np.repeat(starts[:-1], pieces) + number * PIECE, starts[-1]).astype(np.int32))
        starts = firsts
    return [*levels, starts]


def _chunks(segments: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Runs of segments, first and end, with at most `CHUNK` entries each."""
    runs, begin, last = [], 0, len(segments) - 1
    while begin < last:
        end = int(np.searchsorted(segments, int(segments[begin]) + CHUNK, side="right")) - 1
        runs.append((begin, min(max(end, begin + 1), last)))
        begin = runs[-1][1]
    return runs


def segment_product(rows: DeviceRows, dense: Tensor, otherwise: Tensor | None = None) -> Tensor:
    """Compressed rows times [columns, C] float32, [R, C]; empty rows are those of `otherwise` [R, C], or 0."""
    if not rows.chunks:
        return dense.new_zeros(0, dense.shape[1])
    parts = []
    for entries, segments in rows.chunks:
        products = dense.index_select(0, rows.indices[entries]).mul_(rows.values[entries])
        parts.append(_sums(products, segments))
    total = parts[0] if len(parts) == 1 else torch.cat(parts)
    for segments in rows.levels:
        total = _sums(total, segments)
    return total if otherwise is None else torch.where(rows.empty, otherwise, total)


def _sums(values: Tensor, segments: Tensor) -> Tensor:
    """[n, C] to [segments, C]. Where they begin was computed here: no need to wait for the device to check it."""
    return torch.segment_reduce(values, "sum", offsets=segments, axis=0, unsafe=True, initial=0)
