"""Codecs: modes, scaling, tiles, batches, and colours that need no decoder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from practice_components import components, latents, pictures
from torch import nn
from torch.nn import functional

from weft.models.networks import codec as module
from weft.models.networks.batching import Batches
from weft.models.networks.codec import LatentCodec, fitted_colors, procedural_pictures
from weft.noise import generator


class LinearVae(nn.Module):
    """Averages squares of 8 px, then mixes their colours into `channels` by an invertible affine map. Tiles are cut as
    diffusers cuts them: the attributes are its own."""

    def __init__(self, channels: int = 4, scaling: float = 0.5, shift: float = 0.1) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(3, channels, generator=generator(3)))
        self.offset = nn.Parameter(torch.randn(channels, generator=generator(4)))
        self.config = SimpleNamespace(
            scaling_factor=scaling, shift_factor=shift, latent_channels=channels, block_out_channels=(8, 8, 8, 8)
        )
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def encode(self, images: torch.Tensor) -> SimpleNamespace:
        cells = functional.avg_pool2d(images, 8).permute(0, 2, 3, 1)
        mode = (cells @ self.mix + self.offset).permute(0, 3, 1, 2)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mode))

    def decode(self, modes: torch.Tensor) -> SimpleNamespace:
        cells = (modes.permute(0, 2, 3, 1) - self.offset) @ torch.linalg.pinv(self.mix)
        return SimpleNamespace(sample=functional.interpolate(cells.permute(0, 3, 1, 2), scale_factor=8))


def images(count: int = 2, side: int = 64) -> torch.Tensor:
    return pictures(count, side=side) * 2 - 1


class SmallVae(LinearVae):
    """Holds two images at once."""

    def encode(self, images: torch.Tensor) -> SimpleNamespace:
        self.check(images)
        return super().encode(images)

    def decode(self, modes: torch.Tensor) -> SimpleNamespace:
        self.check(modes)
        return super().decode(modes)

    @staticmethod
    def check(batch: torch.Tensor) -> None:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")


def test_fewer_images_are_coded_at_once_where_memory_runs_out():
    batches, shown = Batches(), images(7)
    whole, small = LatentCodec(LinearVae()), LatentCodec(SmallVae(), batches=batches)
    encoded = small.encode(shown)
    assert torch.equal(encoded, whole.encode(shown))
    assert torch.equal(small.decode(encoded), whole.decode(encoded))
    assert batches.notices == ["7 images do not fit into memory at once: 2 at a time, same result"] * 2


@pytest.mark.parametrize("channels", [3, 4, 16])
def test_colours_invert_a_linear_autoencoder_exactly(channels):
    codec = LatentCodec(LinearVae(channels))
    shown = images()
    encoded = codec.encode(shown)
    assert codec.channels == channels
    assert torch.allclose(codec.preview(encoded), functional.avg_pool2d(shown, 8), atol=1e-4)


def test_latents_are_shifted_and_scaled_modes_and_come_back():
    codec = LatentCodec(LinearVae())
    shown = images()
    assert torch.allclose(codec.encode(shown), (codec.modes(shown) - 0.1) * 0.5)
    back = codec.decode(codec.encode(shown))
    assert torch.allclose(back, functional.interpolate(functional.avg_pool2d(shown, 8), scale_factor=8), atol=1e-4)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_codes_are_those_of_the_autoencoder(models_folder, name):
    parts = components(models_folder, name)
    codec = LatentCodec(parts.vae)
    vae: Any = components(models_folder, name).vae
    scaling = vae.config.scaling_factor
    with torch.no_grad():
        shown, x = images(), latents(2)
        assert torch.allclose(codec.encode(shown), vae.encode(shown).latent_dist.mode() * scaling, atol=1e-6)
        assert torch.allclose(codec.decode(x), vae.decode(x / scaling).sample, atol=1e-5)
    assert torch.equal(codec.encode(shown), codec.encode(shown))


def test_batches_of_any_size_code_the_same(models_folder, monkeypatch):
    vae: Any = components(models_folder, "sd15").vae
    whole, small = LatentCodec(vae), LatentCodec(vae, batches=Batches(largest=2))
    shown, x = images(5), latents(5)
    encoded, decoded = whole.encode(shown), whole.decode(x)
    assert torch.allclose(small.encode(shown), encoded, atol=1e-6)
    assert torch.allclose(small.decode(x), decoded, atol=1e-5)
    monkeypatch.setattr(module, "AT_ONCE", 2 * 64 * 64)
    assert torch.allclose(whole.encode(shown), encoded, atol=1e-6)
    assert torch.allclose(whole.decode(x), decoded, atol=1e-5)


def test_tiles_are_the_whole_where_cells_are_coded_one_by_one(models_folder, monkeypatch):
    vae: Any = components(models_folder, "sd15").vae
    vae.encoder, vae.decoder = nn.Conv2d(3, 8, 8, stride=8), nn.ConvTranspose2d(4, 3, 8, stride=8)
    codec = LatentCodec(vae)
    shown, x = images(2, side=160), latents(2, side=20)
    encoded, decoded = codec.encode(shown), codec.decode(x)
    sides: list[int] = []
    vae.decoder.register_forward_hook(lambda _, given, result: sides.append(given[0].shape[-1]))
    monkeypatch.setattr(module, "TILED_ABOVE", 100)
    monkeypatch.setattr(module, "TILE", 64)
    assert torch.allclose(codec.encode(shown), encoded, atol=1e-5)
    assert torch.allclose(codec.decode(x), decoded, atol=1e-5)
    assert len(sides) > 1
    assert max(sides) == 64 // codec.factor
    monkeypatch.setattr(module, "TILED_ABOVE", 1000)
    assert torch.equal(codec.decode(x), decoded)


def test_autoencoders_that_overflow_in_fp16_run_in_single_precision(models_folder):
    for dtype, run in ((torch.float16, torch.float32), (torch.bfloat16, torch.bfloat16)):
        vae: Any = components(models_folder, "sdxl").vae.to(dtype)
        assert vae.config.force_upcast
        assert LatentCodec(vae).decode(latents(1)).dtype == torch.float32
        assert vae.dtype == run


def test_a_tiny_decoder_previews(models_folder):
    parts = components(models_folder, "sd15")
    tiny: Any = parts.tiny_vae
    x = latents(2)
    shown = LatentCodec(parts.vae, tiny).preview(x)
    with torch.no_grad():
        assert torch.allclose(shown, tiny.decode(x).sample)
    assert shown.shape == (2, 3, 64, 64)


def test_the_colour_map_is_the_best_of_all():
    """No other affine map does better on what it was fitted to."""
    shown = procedural_pictures(2, 8, 8)
    codes = torch.tanh(functional.avg_pool2d(shown, 8) @ torch.randn(8, 8, generator=generator(5)))
    rows = codes.permute(0, 2, 3, 1).reshape(-1, 3)
    targets = functional.avg_pool2d(shown, 8).permute(0, 2, 3, 1).reshape(-1, 3)
    best = fitted_colors(codes, shown)
    error = (rows @ best[:-1] + best[-1] - targets).square().sum()
    for seed in range(5):
        other = best + 0.01 * torch.randn(best.shape, generator=generator(seed))
        assert (rows @ other[:-1] + other[-1] - targets).square().sum() > error


def test_procedural_pictures_are_the_same_and_varied():
    shown = procedural_pictures(4, 16, 8)
    assert torch.equal(shown, procedural_pictures(4, 16, 8))
    assert shown.abs().max() <= 1
    cells = functional.avg_pool2d(shown, 8).permute(0, 2, 3, 1).reshape(-1, 3)
    assert torch.linalg.matrix_rank(cells - cells.mean(0)) == 3
    assert (cells.std(0) > 0.2).all()
