"""Who says what the views of a scene should show that does not exist yet: a material on a proxy, or words.

Score distillation asks for x0 of noised renders, and sends what they lack back to their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.score_distillation import RULES, Batch, Distillation, Estimator
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.models.networks.codec import LatentCodec
from weft.models.networks.image_model import as_planes
from weft.schedule import NoiseLevel, stable_diffusion
from weft.tasks.instruction_network import NetworkInstruction
from weft.tasks.network import Network
from weft.tasks.painted_sphere import find_sphere
from weft.tasks.phases import Painter, resized
from weft.tasks.proxy_views import BACKGROUND, ProxyViews
from weft.tasks.style_guides import continued, normal_guides
from weft.tasks.view_words import prompt_of, words_of

__all__ = ["MaterialViews", "NetworkViews", "ViewModel"]

_UNIT = 16  # px, what the exemplar denoiser divides
_TIMES = 1000
_MARGIN = 12  # px that are painted beyond silhouettes: a patch is 10 px
_LEVELS = stable_diffusion(_TIMES).levels


class ViewModel(Protocol):
    """A model of what N views should show."""

    unit: int  # px; sides of views are multiples of it
    defaults: Distillation  # but for the rule
    keeps_shape: bool  # whether only colours are to change
    keeps_noise: bool  # whether a place of the proxy has one noise in all steps and views

    def encode(self, images: np.ndarray) -> Tensor:
        """f4 [B, H, W, 3] sRGB in [0, 1] → x [B, C, h, w]."""
        ...

    def pulled_back(self, images: np.ndarray, gradient: Tensor) -> np.ndarray:
        """∂⟨encode(images), gradient⟩ / ∂images, f4 [B, H, W, 3]."""
        ...

    def level_at(self, t: float) -> NoiseLevel: ...
    def estimator(self, proxy: ProxyViews, seed: int) -> Estimator:
        """For the views of a proxy; `Batch.places` tell which."""
        ...

    def shown(self, proxy: ProxyViews) -> np.ndarray | None:
        """f4 [h, w, 3], the material at the scale at which views show it; None for words."""
        ...


@dataclass(eq=False)
class MaterialViews:
    """A `ViewModel` of patches of one picture f4 [h, w, 3], on the proxy and nowhere else; the CPU's, in pixels.

    Where the picture is a painted sphere its normals say what goes where; else nothing does. `scale` 1 shows the
    picture's longer side across a view.
    """

    picture: np.ndarray
    scale: float = 1.0
    unit: int = _UNIT
    keeps_shape: bool = True
    keeps_noise: bool = True
    # From what goes where to fine grain; what is not finest by then is lost in the mean of many views.
    defaults: Distillation = field(
        default_factory=lambda: Distillation(
            RULES["csd"], steps=300, rate=1.0, rate_end=1.0, times=(0.9, 0.95), times_end=(0.02, 0.05)
        )
    )

    def encode(self, images: np.ndarray) -> Tensor:
        return as_planes(images)

    def pulled_back(self, images: np.ndarray, gradient: Tensor) -> np.ndarray:
        return 2 * gradient.permute(0, 2, 3, 1).contiguous().numpy()

    def level_at(self, t: float) -> NoiseLevel:
        """Stable Diffusion's level at `t`."""
        return _LEVELS[_TIMES - 1 - min(int(t * _TIMES), _TIMES - 1)]

    def estimator(self, proxy: ProxyViews, seed: int) -> Estimator:
        return _Material(self, proxy, seed)

    def shown(self, proxy: ProxyViews) -> np.ndarray:
        return Painter(self.picture, self.scale * min(proxy.masks.shape[1:])).exemplar().image / 2 + 0.5


class _Material:
    """One exemplar denoiser a view, which goes on from where it looked last."""

    def __init__(self, model: MaterialViews, proxy: ProxyViews, seed: int) -> None:
        height, width = proxy.masks.shape[1:]
        sphere, guide, own = find_sphere(model.picture), None, None
        span = model.scale * min(height, width)
        if sphere is None:
            picture, painted = model.shown(proxy), proxy.masks
        else:
            part, sphere = sphere.cropped(model.picture)
            picture = resized(part, max(Exemplar.SMALLEST, round(span)))
            sphere = sphere.scaled(max(picture.shape[:2]) / max(part.shape[:2]))
            views, own = normal_guides(proxy.normals, proxy.cameras, sphere, *picture.shape[:2])
            guide, painted = continued(views, proxy.masks, _MARGIN)
        exemplar = Exemplar(picture, own)
        self._masks = torch.from_numpy(proxy.masks)[:, None]
        self._denoisers = [
            ExemplarDenoiser(
                exemplar, seed=seed * len(painted) + view, mask=painted[view : view + 1],
                guide=None if guide is None else guide[view : view + 1],
            )
            for view in range(len(painted))
        ]  # fmt: skip

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        views = [place.image for place in batch.places]
        x0 = torch.cat([self._denoisers[view](one, level) for view, one in zip(views, x.split(1), strict=True)])
        return torch.where(self._masks[views], x0, torch.full_like(x0, 2 * BACKGROUND - 1))

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        raise InvalidInput("there is no source before the first picture", "choose the rule csd or sds")


@dataclass(eq=False)
class NetworkViews:
    """A `ViewModel` of a network that makes pictures of words; with `view_words` they tell where it is looked from."""

    network: Network
    prompt: str
    view_words: bool
    keeps_shape: bool = False
    keeps_noise: bool = False
    # Poole et al. 2023: t in (0.02, 0.98), w = σ².
    defaults: Distillation = field(
        default_factory=lambda: Distillation(
            RULES["csd"], steps=1000, rate=1.0, rate_end=1.0, times=(0.2, 0.98), weight="paper"
        )
    )

    def __post_init__(self) -> None:
        if self.network.edits:
            raise InvalidInput(
                f"{self.network.card.name} edits what is there, and there is nothing", "choose a text-to-image model"
            )
        self._words = NetworkInstruction(self.network, self.prompt)
        self.unit = self._words.unit

    def encode(self, images: np.ndarray) -> Tensor:
        return self._words.encode(images)

    def pulled_back(self, images: np.ndarray, gradient: Tensor) -> np.ndarray:
        codec = self.network.model.codec
        if not isinstance(codec, LatentCodec):
            raise InvalidInput(f"{self.network.card.name} sends nothing back to pixels", "choose a latent model")
        wanted = 2 * codec.pulled_back(as_planes(images), gradient)
        return wanted.cpu().permute(0, 2, 3, 1).contiguous().numpy()

    def level_at(self, t: float) -> NoiseLevel:
        return self._words.level_at(t)

    def estimator(self, proxy: ProxyViews, seed: int) -> Estimator:
        words = words_of(proxy.cameras, proxy.vertices.mean(0)) if self.view_words else ("",) * len(proxy.cameras)
        prompts = [prompt_of(self.prompt, word) for word in words]
        shown = proxy.shaded(np.full(3, 0.8))
        return NetworkInstruction(self.network, prompts).estimator(shown, None, seed)

    def shown(self, proxy: ProxyViews) -> np.ndarray | None:
        return None
