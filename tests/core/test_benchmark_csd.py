"""The benchmark of score distillation: its numbers mean what they say, and the paper's ablation comes out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from weft.benchmarks import csd
from weft.benchmarks.csd_rows import WAYS, measure, warp
from weft.metrics.flicker import Flow
from weft_server.cli import main

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOX = DATA / "fox_270x480" / "images"
needs_fox = pytest.mark.skipif(not FOX.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")


def test_every_way_is_a_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "csd", "--quick", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for guide in csd.FIDELITIES:
        own = [line for line in lines if line.startswith("turntable") and f"  {guide}  " in line]
        assert [any(f"  {way.label}  " in line for line in own) for way in WAYS] == [True] * len(WAYS)
    assert "| turntable | weak | CSD-Edit |" in (tmp_path / "csd.md").read_text()
    assert (tmp_path / "csd.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.glob("*.jpg")} == {f"csd_turntable_{g}.jpg" for g in csd.FIDELITIES}


def test_measures_tell_what_they_are_called() -> None:
    views = csd.turning(csd.Size(64, 3))
    style = csd.style_named("oil paint")[:64, :64]
    own = measure(views.images, views, style)
    assert own["detail"] == pytest.approx(1)
    assert own["tones"] == pytest.approx(1)
    negative = measure(1 - views.images, views, style)
    assert negative["detail"] == pytest.approx(-1)
    assert negative["tones"] == pytest.approx(-1)
    blurred = measure(ndimage.gaussian_filter(views.images, (0, 2, 2, 0)), views, style)
    assert blurred["sharpness"] < 0.6 * own["sharpness"]
    assert blurred["detail"] < own["detail"]
    assert measure(style[None].repeat(3, 0), views, style)["patch"] < 0.1 * own["patch"]
    noise = np.random.default_rng(0).normal(0, 0.05, views.images.shape).astype(np.float32)
    assert warp(views.images + noise, views.flows) > 2 * own["warp"]


def test_warp_follows_what_moves() -> None:
    first = np.random.default_rng(1).random((24, 24, 3), np.float32)
    moved = np.roll(first, (2, 3), (0, 1))  # right by 3, down by 2
    known = np.zeros((24, 24), bool)
    known[4:, 4:] = True
    back = np.broadcast_to(np.array([-3, -2], np.float32), (24, 24, 2))
    assert warp(np.stack([first, moved]), [Flow(back, known)]) < 1e-6
    assert warp(np.stack([first, moved]), [Flow(np.zeros_like(back), known)]) > 0.3


@needs_fox
def test_the_papers_ablation_on_photographs() -> None:
    """Kernel: views agree better where the guide is weak. Baseline: sharper, and closer to the source."""
    style = csd.style_named("oil paint")
    size = csd.Size(96, 4, 16)
    views = csd.photographs(FOX, size)
    rows = {
        (row.guide, row.way): row.numbers
        for row in csd.image_rows(views, style, size, [way for way in WAYS if way.rule in ("csd_edit", "dds", "csd")])
    }
    full, alone, noise = (rows["weak", way.label] for way in WAYS[:3])
    assert full["warp"] < 0.85 * alone["warp"]
    assert full["sharpness"] > 0.9 * alone["sharpness"]  # and not because they are blurred
    assert full["detail"] > alone["detail"]
    for guide in csd.FIDELITIES:
        full, noise = rows[guide, WAYS[0].label], rows[guide, WAYS[2].label]
        assert full["sharpness"] > 1.15 * noise["sharpness"]
        assert full["detail"] > noise["detail"]
