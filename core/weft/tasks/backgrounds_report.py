"""What backgrounds around a fixed object are worth: the object kept, the rest different, the outline unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from weft.metrics.boundary import mask_seam
from weft.metrics.diversity import pair_distances
from weft.tasks.backgrounds_outline import joined
from weft.tasks.sheet import sheet

__all__ = ["Row", "contact_sheet", "measured", "table"]

_SHOWN = 5  # variants of a row on the sheet


@dataclass(frozen=True)
class Row:
    """A method after so many steps, at the size at which the model paints."""

    method: str
    steps: int
    rmse_f: float  # RMS difference from the photograph over the object before it is put back, images in [0, 1]
    diversity: float  # RMS difference of two variants around the object, mean over pairs
    boundary: float  # `metrics.boundary.mask_seam` once the object is put back, mean over variants
    seconds: float

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def measured(
    method: str, steps: int, images: np.ndarray, photograph: np.ndarray, mask: np.ndarray, seconds: float
) -> Row:
    """images f4 [m, h, w, 3] and photograph [h, w, 3] in [0, 1], mask bool [h, w]."""
    missed = np.sqrt(np.mean((images[:, mask] - photograph[mask]) ** 2, (1, 2), dtype=np.float64))
    seams = [mask_seam(joined(photograph, image, mask), mask) for image in images]
    apart = pair_distances([image[~mask] for image in images])
    return Row(
        method, steps, round(float(missed.mean()), 4), round(float(apart.mean()), 4), round(float(np.mean(seams)), 3),
        round(seconds, 2),
    )  # fmt: skip


def table(rows: Sequence[Row | dict[str, Any]], own_boundary: float) -> list[str]:
    """Lines of Markdown."""
    lines = ["| method | steps | RMSE-F | diversity | boundary | seconds |", "|---|---|---|---|---|---|"]
    lines.append(f"| the photograph | | 0 | | {own_boundary:.2f} | |")
    for row in (row.plain() if isinstance(row, Row) else row for row in rows):
        lines.append(
            f"| {row['method']} | {row['steps']} | {row['rmse_f']:.4f} | {row['diversity']:.3f} | "
            f"{row['boundary']:.2f} | {row['seconds']:.1f} |"
        )
    return lines


def contact_sheet(
    photograph: np.ndarray, mask: np.ndarray, rows: Sequence[tuple[str, Sequence[np.ndarray]]]
) -> np.ndarray:
    """f4 [H, W, 3]: the photograph and its object; then a row for each of `rows`, (label, variants f4 [h, w, 3])."""
    cut = np.where(mask[..., None], photograph, np.float32(1))
    tiles = [[("photograph", photograph), ("what is kept", cut)]]
    tiles += [[(f"{label} {i}", each) for i, each in enumerate(images[:_SHOWN], 1)] for label, images in rows]
    return sheet(tiles)
