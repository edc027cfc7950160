"""What an edited video is worth, at the size that was edited: numbers, and a sheet of before and after."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.metrics import detail_correlation, sharpness
from weft.metrics.flicker import flicker, video_flows
from weft.tasks.sheet import sheet

__all__ = ["contact_sheet", "measures", "strip"]

MOST = 48  # frames that are measured, in a row from the middle: flow is slow
_SHOWN = 6  # frames on the sheet


def measures(before: np.ndarray, after: np.ndarray, masks: np.ndarray | None) -> dict[str, Any]:
    """Of frames f4 [N, H, W, 3], and what may change, bool [N, H, W]. None where one cannot be measured.

    `flicker` and `flicker_before` (`metrics.flicker`, by the flow that is found in the frames as they were);
    `sharpness` over that of the frames before; `detail`, correlation of lightness with the frames before.
    """
    first = max(0, (len(before) - MOST) // 2)
    part = slice(first, first + MOST)
    before, after = before[part], after[part]
    inside = [None] * len(before) if masks is None else list(masks[part])
    found: dict[str, Any] = dict.fromkeys(("flicker", "flicker_before", "sharpness", "detail"))
    flows = video_flows(before)
    if any(flow.known.any() for flow in flows):
        found |= {"flicker": round(flicker(after, flows), 5), "flicker_before": round(flicker(before, flows), 5)}
    shown = [row for row in zip(after, before, inside, strict=True) if row[2] is None or row[2].any()]
    try:
        old = np.mean([sharpness(source, mask) for _, source, mask in shown])
        new = np.mean([sharpness(image, mask) for image, _, mask in shown])
        found["sharpness"] = round(float(new / old), 3) if old > 0 else None
        found["detail"] = round(float(np.mean([detail_correlation(*row) for row in shown])), 3)
    except InvalidInput:  # masks too thin to measure in
        pass
    return found


def contact_sheet(before: np.ndarray, after: np.ndarray, exemplar: np.ndarray | None) -> np.ndarray:
    """f4 [H, W, 3]: frames as they were over frames as they are, and what they were to look like."""
    chosen = np.unique(np.linspace(0, len(before) - 1, min(_SHOWN, len(before))).round().astype(int))
    rows = [[(f"frame {k + 1}", before[k]) for k in chosen], [("edited", after[k]) for k in chosen]]
    return sheet(rows if exemplar is None else [*rows, [("exemplar", exemplar)]])


def strip(count: int) -> list[int]:
    """Numbers of the frames that a preview shows side by side."""
    return sorted({0, count // 2, count - 1})
