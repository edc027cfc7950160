"""Guidance as a table: what each evaluation of the network is told, and its weight in the result.

A prediction is Σ_r weight_r · network(rows_r), with weights that sum to 1. Noise, velocity and x0 are affine in each
other at one noisy image, so the same table guides all of them. Rows that weigh nothing are not evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Row", "image_and_text", "text", "together", "weighted"]


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluation of the network, for every view."""

    words: bool  # told the view's words (and style); otherwise the negative ones
    image: bool  # shown the image; otherwise nothing (zeros)
    weight: float


def text(guidance: float) -> tuple[Row, ...]:
    """Classifier-free guidance (Ho & Salimans 2022): u + g (c - u)."""
    return _weighing(Row(False, True, 1 - guidance), Row(True, True, guidance))


def together(guidance: float) -> tuple[Row, ...]:
    """The same with everything that there is to be told on one side, and nothing on the other."""
    return _weighing(Row(False, False, 1 - guidance), Row(True, True, guidance))


def image_and_text(guidance: float, image_guidance: float) -> tuple[Row, ...]:
    """Guidance of both (Brooks et al. 2023, InstructPix2Pix, Eq. 3): u + s_I (i - u) + s_T (c - i)."""
    return _weighing(
        Row(False, False, 1 - image_guidance),
        Row(False, True, image_guidance - guidance),
        Row(True, True, guidance),
    )


def weighted(rows: Sequence[Row], predictions: Tensor) -> Tensor:
    """Predictions [rows, N, …] of the rows to what they say together, [N, …]."""
    own = [row.weight * prediction for row, prediction in zip(rows, predictions, strict=True)]
    return torch.stack(own).sum(0) if len(own) > 1 else predictions[0]


def _weighing(*rows: Row) -> tuple[Row, ...]:
    return tuple(row for row in rows if row.weight != 0)
