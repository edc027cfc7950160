"""Edits by score distillation with a network: an `Instruction` made of any model that a card names.

InstructPix2Pix (Brooks et al. 2023), the model of Kim et al. 2023, is shown the source x̃ and told the words y:

    target  ε(x) + ω_s (ε(x; x̃) - ε(x)) + ω_y (ε(x; x̃, y) - ε(x; x̃))        source  ε(x̃) + ω_s (ε(x̃; x̃) - ε(x̃))

The source is the same table of guidance at ω_y = 0. So it is for models that see no picture, which edit as delta scores
do (Hertz et al. 2023): target ε(x) + ω_y (ε(x; y) - ε(x)), source ε(x̃). A distilled model, guided by nothing, is told
the words or none. All evaluations of a branch, three and two for InstructPix2Pix, are one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.methods.score_distillation import Batch, Distillation, Estimator
from weft.models.networks.image_model import Conditioning, as_planes
from weft.schedule import TRAIN_STEPS, NoiseLevel
from weft.tasks.network import Network
from weft.tasks.view_controls import view_controls

__all__ = ["NetworkInstruction"]

# Kim et al. 2023, section 5: SGD, rate 2 falling by 0.9 every 20 of 200 steps.
_DEFAULTS = Distillation(steps=200, rate=2.0, rate_end=2.0 * 0.9**10, times=(0.2, 0.5), weight="paper")


@dataclass(eq=False)
class NetworkInstruction:
    """An `Instruction` in latents, on the CPU; the network computes where it is loaded. Raises InvalidInput for models
    that need more than words and the picture.

    `prompt`: an instruction ("make it autumn") for models that edit, a description for others; one for all images, or
    one for each source. `style` f4 [h, w, 3] in [0, 1], for models with an adapter for one.
    """

    network: Network
    prompt: str | Sequence[str]
    style: np.ndarray | None = None
    clip: float = 0.0
    defaults: Distillation = field(default_factory=lambda: _DEFAULTS)

    def __post_init__(self) -> None:
        card = self.network.card
        if lacking := sorted(card.needs - {"image"}):
            raise InvalidInput(
                f"{card.name} needs {', '.join(lacking)}, and is shown pictures alone here",
                "choose instruct-pix2pix, or a model that makes pictures of words",
            )
        self.scale, self.unit = self.network.model.codec.factor, self.network.model.unit
        self.window = self.network.view_size(0)

    def encode(self, images: np.ndarray) -> Tensor:
        model = self.network.model
        return model.codec.encode(as_planes(images).to(model.device)).float().cpu()

    def decode(self, x: Tensor) -> np.ndarray:
        model = self.network.model
        shown = model.codec.decode(x.to(model.device)).float().cpu() / 2 + 0.5
        return shown.clamp(0, 1).permute(0, 2, 3, 1).contiguous().numpy()

    def level_at(self, t: float) -> NoiseLevel:
        """The trained level nearest to `t`."""
        nearest = int(np.abs(self._times - t * TRAIN_STEPS).argmin())
        return self._levels[nearest]

    @cached_property
    def _levels(self) -> tuple[NoiseLevel, ...]:
        """All but the clean one, which holds no noise to be estimated."""
        levels = self.network.model.levels_at(self.window, self.window)
        return levels.schedule(TRAIN_STEPS - 1).levels[:-1]  # walks that begin one step late have no more

    @cached_property
    def _times(self) -> np.ndarray:
        levels = self.network.model.levels_at(self.window, self.window)
        return np.array([levels.timestep(level) for level in self._levels])

    def estimator(self, sources: np.ndarray, masks: np.ndarray | None, seed: int) -> Estimator:
        """Networks are deterministic: `seed` changes nothing."""
        return _Guided(self, sources, masks)

    def prompt_of(self, image: int) -> str:
        return self.prompt if isinstance(self.prompt, str) else self.prompt[image]


class _Guided:
    """The `Estimator`. Samples at the places of those before are not encoded again."""

    def __init__(self, instruction: NetworkInstruction, sources: np.ndarray, masks: np.ndarray | None) -> None:
        self._instruction, self._sources, self._masks = instruction, sources, masks
        self._bound: dict[bool, tuple[object, Denoiser]] = {}

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        return self._held(self._denoiser(x, batch, told=True)(x, level), batch.x, batch)

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        assert batch.source is not None
        return self._held(self._denoiser(x, batch, told=False)(x, level), batch.source, batch)

    def _denoiser(self, x: Tensor, batch: Batch, *, told: bool) -> Denoiser:
        key = (batch.places, tuple(x.shape[2:]))
        last, denoiser = self._bound.get(told, (None, None))
        if denoiser is None or last != key:
            wanted = self._conditioning(x, batch)
            denoiser = self._instruction.network.model.bind(wanted if told else _untold(wanted))
            self._bound[told] = key, denoiser
        return denoiser

    def _conditioning(self, x: Tensor, batch: Batch) -> Conditioning:
        shown = self._cut(self._sources, x, batch)
        prompts = [self._instruction.prompt_of(place.image) for place in batch.places]
        return self._instruction.network.conditioning(
            prompts,
            drawn=lambda kinds: view_controls(kinds, shown, None),
            image=as_planes(shown),
            style=self._instruction.style,
        )

    def _cut(self, pictures: np.ndarray, x: Tensor, batch: Batch) -> np.ndarray:
        """What the samples show of pictures [N, H, W, …]."""
        scale = self._instruction.scale
        height, width = (side * scale for side in x.shape[2:])
        corners = [(place.image, place.top * scale, place.left * scale) for place in batch.places]
        return np.stack([pictures[i, top : top + height, left : left + width] for i, top, left in corners])

    def _held(self, x0: Tensor, clean: Tensor, batch: Batch) -> Tensor:
        """x0, with what is there already where nothing may change."""
        if self._masks is None:
            return x0
        allowed = torch.from_numpy(self._cut(self._masks, x0, batch))[:, None].float()
        return torch.lerp(clean, x0, functional.avg_pool2d(allowed, self._instruction.scale))


def _untold(wanted: Conditioning) -> Conditioning:
    """The same without the words."""
    if wanted.guidance == 1:
        return replace(wanted, prompts=("",) * len(wanted.prompts))
    return replace(wanted, guidance=0.0)
