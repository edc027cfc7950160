"""Scenes of materials and words: the shape is the proxy's, gradients reach the pixels, nothing is left to chance."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from practice_shapes import box

from weft.errors import InvalidInput, UnknownName, WeftError
from weft.geometry.mesh import Mesh, surface_area
from weft.methods.score_distillation import euclidean
from weft.models.cards import card_named
from weft.models.library import Library
from weft.models.requests import parse
from weft.noise import generator
from weft.scenes.voxels import Voxels
from weft.tasks.events import Preview, Result, Warning
from weft.tasks.network import Network
from weft.tasks.proxy_views import ball, begun, proxy_views
from weft.tasks.text_to_3d import text_to_3d

PROXY = box(6, sphere=True, radius=1.5)
USUAL: dict[str, Any] = {
    "exemplar": None, "prompt": "bricks", "kind": "splats", "rule": "csd", "size": 48, "batch": 3, "splats": 800,
    "steps": 6, "view_words": True, "pattern_scale": 1.0, "seed": 0, "report": False,
}  # fmt: skip


def made(meshes: list[Mesh], **wanted: Any) -> tuple[Result, list[Any]]:
    events = list(text_to_3d(meshes, **(USUAL | wanted)))
    assert isinstance(events[-1], Result)
    return events[-1], events


def stripes() -> np.ndarray:
    picture = np.zeros((64, 64, 3), np.float32)
    picture[:, ::2] = (0.9, 0.1, 0.1)
    picture[:, 1::2] = (0.7, 0.2, 0.0)
    return picture


def test_a_material_is_painted_on_the_proxy_where_it_stands() -> None:
    result, events = made([PROXY], exemplar=stripes(), steps=30, report=True)
    means, sh = result.arrays["splats.means"], result.arrays["splats.sh"]
    # Faces of the sphere's mesh lie a little inside of the sphere.
    assert np.abs(np.linalg.norm(means, axis=1) - 1.5).max() < 0.1
    colors = sh[:, 0] * 0.28209479 + 0.5
    assert np.abs(np.median(colors, 0) - stripes().mean((0, 1))).max() < 0.1
    assert result.info["silhouette"] > 0.85
    assert result.info["proxy"] == "given"
    assert len(result.arrays["turntable"]) == 36
    assert any(isinstance(event, Preview) for event in events)
    renders = result.arrays["view.images"]
    assert renders.shape == (24, 48, 48, 3)
    np.testing.assert_allclose(renders[:, :3, :3], 0.5, atol=0.02)


def test_the_same_seed_gives_the_same_bytes_and_csd_is_not_sds() -> None:
    first, _ = made([PROXY])
    again, _ = made([PROXY])
    alone, _ = made([PROXY], rule="sds")
    np.testing.assert_array_equal(first.arrays["scene"], again.arrays["scene"])
    assert np.abs(first.arrays["splats.sh"] - alone.arrays["splats.sh"]).max() > 1e-3
    np.testing.assert_array_equal(first.arrays["splats.means"], alone.arrays["splats.means"])


def test_the_kernel_compares_how_views_look_where_lpips_is_present(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = {rule: made([PROXY], rule=rule, steps=1)[0].info["kernel"] for rule in ("csd", "sds")}
    assert kernels == {"csd": "L2", "sds": "none"}
    asked = []

    def distance(x: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(x.shape))
        return euclidean(x)

    monkeypatch.setattr("weft.tasks.text_to_3d.perceptual_distance", lambda: distance)
    assert made([PROXY], steps=2)[0].info["kernel"] == "LPIPS"
    assert asked == [(3, 3, 48, 48)] * 2


def test_without_a_proxy_there_is_a_sphere_and_it_is_said() -> None:
    result, events = made([], steps=1)
    assert result.info["proxy"] == "sphere"
    assert any("there is no proxy" in event.message for event in events if isinstance(event, Warning))
    assert surface_area(ball()) == pytest.approx(4 * np.pi, rel=0.01)


def test_places_that_several_views_show_have_one_noise_in_all_of_them() -> None:
    proxy = proxy_views([PROXY], 48)
    noise = proxy.noise(1, generator(0))[:, 0].numpy()
    for view in noise:
        assert abs(view.mean()) < 0.1
        assert view.std() == pytest.approx(1, abs=0.1)
    # Where a pixel of one view shows very nearly the same place as one of another, both mostly have the same noise.
    first, second = (proxy.positions[v][proxy.masks[v]] for v in (0, 1))
    apart = np.linalg.norm(first[:, None] - second[None], axis=2)
    near = np.argwhere(apart < 0.01)
    pairs = [(noise[0][proxy.masks[0]][i], noise[1][proxy.masks[1]][j]) for i, j in near]
    assert len(pairs) > 20
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.3


def test_a_nerf_takes_on_the_proxy_s_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.tasks import proxy_views as module

    monkeypatch.setattr(module, "_SHAPING", 16)
    monkeypatch.setattr(Voxels, "begin", partial(Voxels.begin, resolution=48))
    proxy = proxy_views([PROXY], 32)
    run = begun(proxy, "voxels", 0, np.array([0.8, 0.3, 0.2]), 0)
    while True:
        try:
            next(run)
        except StopIteration as end:
            scene = end.value
            break
    assert scene.kind == "voxels"
    covered = scene.render(proxy.inside[5]).opacity > 0.5
    assert (covered & proxy.masks[5]).sum() > 0.6 * (covered | proxy.masks[5]).sum()


@pytest.fixture(scope="module")
def words(models_folder: Path) -> Network:
    pytest.importorskip("diffusers")
    from weft.models.networks.cache import ModelCache

    cache = ModelCache(Library([models_folder]), torch.device("cpu"), torch.float32, 1 << 34)
    wish = parse("sd15", geometry=False)
    return Network(card_named("sd15"), lambda: cache.get(wish.request))


def test_what_words_ask_for_reaches_colours_and_places_of_splats(words: Network) -> None:
    result, _ = made([], network=words, steps=2, batch=2, splats=100, size=64)
    again, _ = made([], network=words, steps=2, batch=2, splats=100, size=64)
    begin = begun(proxy_views([ball()], 64), "splats", 100, np.full(3, 0.6, np.float32), 0)
    with pytest.raises(StopIteration) as end:
        next(begin)
    proxy = proxy_views([ball()], 64)
    before = proxy.frame.out_of_splats(end.value.value.splats())
    assert np.abs(result.arrays["splats.sh"] - before.sh).max() > 1e-3
    assert np.abs(result.arrays["splats.means"] - before.means).max() > 1e-6
    np.testing.assert_array_equal(result.arrays["scene"], again.arrays["scene"])


def test_gradients_go_back_through_the_encoder(words: Network) -> None:
    codec: Any = words.model.codec
    images = torch.rand(2, 3, 32, 32, generator=generator(0)) * 2 - 1
    wanted = torch.randn(codec.encode(images).shape, generator=generator(1))
    back = codec.pulled_back(images, wanted)
    step = torch.randn(images.shape, generator=generator(2))
    ahead, behind = (float((codec.encode(images + e * step) * wanted).sum()) for e in (1e-2, -1e-2))
    assert float((back * step).sum()) == pytest.approx((ahead - behind) / 2e-2, rel=0.02)


def test_what_makes_no_scene_is_refused_in_one_line() -> None:
    refused: list[tuple[type[WeftError], dict[str, Any]]] = [
        (UnknownName, {"kind": "clay"}), (InvalidInput, {"rule": "dds"}), (InvalidInput, {"batch": 0}),
    ]  # fmt: skip
    for kind, wanted in refused:
        with pytest.raises(kind) as caught:
            made([PROXY], **wanted)
        assert "\n" not in str(caught.value)
        assert caught.value.hint
