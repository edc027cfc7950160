"""Backgrounds by networks, tiny ones of the real classes: latents, masks of latents, models that inpaint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from weft.models.cards import card_named
from weft.models.library import Library
from weft.models.requests import parse
from weft.tasks.backgrounds import backgrounds
from weft.tasks.backgrounds_network import NetworkSetting
from weft.tasks.events import Preview, Result
from weft.tasks.network import Network

SMALL: dict[str, Any] = {
    "prompt": "a beach", "variants": 2, "correlation": -1.0, "method": "coupled", "optimize": 1, "rate": 0.1,
    "steps": 3, "size": 64, "pattern_scale": 1.0, "compare": False, "seed": 0, "report": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def make(models_folder: Path):
    pytest.importorskip("diffusers")
    from weft.models.networks.cache import ModelCache

    cache = ModelCache(Library([models_folder]), torch.device("cpu"), torch.float32, 1 << 34)

    def network(name: str) -> Network:
        wish = parse(name, control="", geometry=False, style=False)
        return Network(card_named(name), lambda: cache.get(wish.request), controls=wish.controls)

    return network


def photograph() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).random((64, 96, 3), np.float32)
    mask = np.zeros((64, 96), bool)
    mask[16:48, 30:70] = True
    return image, mask


@pytest.mark.parametrize("name", ["sd15", "sd15-inpainting", "instruct-pix2pix", "flux2-klein"])
def test_networks_vary_what_is_around_the_object(make: Any, name: str) -> None:
    image, mask = photograph()
    events = list(backgrounds(image, mask, network=make(name), **SMALL))
    last = events[-1]
    assert isinstance(last, Result)
    made = last.arrays["backgrounds"]
    assert made.shape == (2, 64, 96, 3)
    assert not np.array_equal(made[0], made[1])
    assert np.array_equal(made[0][28:36, 45:55], made[1][28:36, 45:55])
    assert last.info["material"]["name"] == name
    assert any(isinstance(event, Preview) for event in events)


def test_the_mask_of_the_latents_is_the_object_s(make: Any) -> None:
    image, mask = photograph()
    setting = NetworkSetting(make("sd15"), image, mask, "a beach", None, 96, 3)
    factor = setting.network.model.codec.factor
    assert setting.mask.shape == (64 // factor, 96 // factor)
    assert setting.target.shape[1:] == setting.mask.shape
    covered = setting.mask.repeat_interleave(factor, 0).repeat_interleave(factor, 1).numpy()
    assert (covered != mask).mean() < 0.15
