"""The benchmark of score distillation: its numbers mean what they say, and the paper's ablation comes out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from weft.benchmarks import csd, csd_panorama, csd_scene, csd_video
from weft.benchmarks.csd_rows import WAYS, measure, warp
from weft.benchmarks.splat_torus import splat_torus
from weft.benchmarks.torus import TUBE
from weft.geometry.splats import check_splats, quaternion_matrices
from weft.metrics import patches
from weft.metrics.flicker import Flow
from weft_server.cli import main

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOX = DATA / "fox_270x480" / "images"
needs_fox = pytest.mark.skipif(not FOX.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")


def test_every_way_is_a_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "_PATCHES", 500)  # how precise the numbers are is not looked at
    assert main(["bench", "csd", "--quick", "--style", "knitted wool", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for guide in csd.FIDELITIES:
        own = [line for line in lines if line.startswith("turntable") and f"  {guide}  " in line]
        assert [any(f"  {way.label}  " in line for line in own) for way in WAYS] == [True] * len(WAYS)
    for part, ways in (
        ("A wide image", csd_panorama.WAYS),
        ("A video", csd_video.WAYS),
        ("A scene, weak guide", csd_scene.WAYS),
    ):
        own = lines[lines.index(part) + 2 :]
        assert all(any(line.startswith(f"{way.label}  ") for line in own) for way in ways), part
    page = (tmp_path / "csd.md").read_text()
    assert "| turntable | weak | CSD-Edit |" in page
    assert "## A scene, weak guide" in page
    assert (tmp_path / "csd.png").read_bytes().startswith(b"\x89PNG")
    sheets = {"turntable_recipe", "turntable_weak", "panorama", "video", "scene_weak"}
    assert {path.stem.removeprefix("csd_") for path in tmp_path.glob("*.jpg")} == sheets


def test_the_torus_of_splats_is_one() -> None:
    splats = splat_torus(4000)
    check_splats(splats)
    radius = np.hypot(splats.means[:, 0], splats.means[:, 1])
    np.testing.assert_allclose(np.hypot(radius - 1, splats.means[:, 2]), TUBE, atol=1e-5)
    outside = (radius > 1).mean()  # of the area: 1/2 + TUBE/π
    assert outside == pytest.approx(0.5 + TUBE / np.pi, abs=0.03)
    normal = quaternion_matrices(splats.quaternions)[:, :, 2]
    away = splats.means - splats.means * np.array([1, 1, 0]) / radius[:, None]
    np.testing.assert_allclose((normal * away).sum(1), TUBE, atol=1e-4)


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
    size = csd.Size(96, 3, 12)
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
