"""Edits by score distillation without downloaded weights: an `Instruction` made of the exemplar denoiser.

Score distillation edits with what InstructPix2Pix knows: three estimates of one noisy picture x_t. Here, in x0 form,

    u  unconditional          patches of the exemplar and of the sources, unguided
    s  given the source       the source itself, up to a shift (`models.aligned_source`)
    y  source and exemplar    patches of the exemplar, guided by how light the source is (`rank_guides`)

    target  u + ω_s (s - u) + ω_y (y - s)        source  u + ω_s (s - u)

It knows materials and form and not what words mean: an exemplar's texture and tones go where the source's lightness
sends them. At ω_s = ω_y = 1, which suits it, u is not asked; ω_y above 1.5 saturates: a network's 7.5 means nothing
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput
from weft.methods.score_distillation import Batch, Distillation, Estimator, Place
from weft.models.aligned_source import AlignedSource
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.models.exemplar_matches import carried
from weft.schedule import NoiseLevel, stable_diffusion
from weft.tasks.phases import Painter
from weft.tasks.style_guides import rank_guides

__all__ = ["ExemplarInstruction"]

_UNIT = 16  # px, what the exemplar denoiser divides
_TIGHTEST = 0.03  # σ of the guides at fidelity 1; σ = tightest / fidelity²
_FREE = 1e3  # σ at fidelity 0
_SCALES = ((0.4, 1.0, 4), (0.0, 0.6, 8))  # from a fidelity: noise of a level, coarsest level
_TIMES = 1000
_UNION = 3  # sources that the unconditional estimate knows


@dataclass(eq=False)
class ExemplarInstruction:
    """An `Instruction` of sRGB images in [-1, 1], on the CPU. `exemplar` f4 [h, w, 3] sRGB in [0, 1].

    `fidelity` in [0, 1]: how closely the source's own shapes are kept. `pattern_scale` 1 shows the exemplar's longer
    side across the shorter one of a source, or of a window of it. Raises InvalidInput for what lies outside.
    """

    exemplar: np.ndarray
    fidelity: float = 0.6
    pattern_scale: float = 1.0
    source_guidance: float = 1.0  # ω_s
    guidance: float = 1.0  # ω_y
    scale: int = 1
    unit: int = 1
    window: int = 256
    clip: float = 1.3
    defaults: Distillation = field(default_factory=Distillation)

    def __post_init__(self) -> None:
        if not 0 <= self.fidelity <= 1:
            raise InvalidInput(
                f"fidelity = {self.fidelity:g} is outside 0 to 1", "1 keeps the pictures' shapes, 0 ignores them"
            )
        Exemplar(self.exemplar)  # refuses what cannot be painted with

    def encode(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2) * 2 - 1

    def decode(self, x: Tensor) -> np.ndarray:
        return (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).contiguous().numpy()

    def level_at(self, t: float) -> NoiseLevel:
        """Stable Diffusion's level at `t`."""
        return _LEVELS[_TIMES - 1 - min(int(t * _TIMES), _TIMES - 1)]

    def estimator(self, sources: np.ndarray, masks: np.ndarray | None, seed: int) -> Estimator:
        side = self.pattern_scale * min(*sources.shape[1:3], self.window)
        picture = Painter(self.exemplar, side).exemplar().image / 2 + 0.5
        changing = np.ones(sources.shape[:3], bool) if masks is None else masks
        if not changing.any():
            raise InvalidInput("the masks are empty: nothing may change", "paint what may change white")
        guides, own = rank_guides(sources, changing, picture)
        return _Triple(self, self.encode(sources), guides, Exemplar(picture, own), masks, seed)


_LEVELS = stable_diffusion(_TIMES).levels


def _settings(fidelity: float) -> tuple[ExemplarSettings, AlignedSource]:
    """Where guides say what goes where, patches are small, to follow it. Both models work at the same levels."""
    noise, coarsest = next((noise, coarsest) for least, noise, coarsest in _SCALES if fidelity >= least)
    settings = ExemplarSettings(
        noise_per_level=noise, coarsest=coarsest, patch=5, fine_patch=7, stride=1, occupancy=0.0,
        guide_noise=min(_FREE, _TIGHTEST / max(fidelity, 1e-6) ** 2),
    )  # fmt: skip
    return settings, AlignedSource(noise_per_level=noise, coarsest=coarsest)


@dataclass
class _Warm:
    """A denoiser and what it has last looked at."""

    place: Place
    size: tuple[int, int]
    denoiser: ExemplarDenoiser


class _Triple:
    """The `Estimator`. A sample goes on from the matches of those before it that overlap it."""

    def __init__(
        self,
        instruction: ExemplarInstruction,
        sources: Tensor,  # [N, 3, H, W] in [-1, 1]
        guides: np.ndarray,  # f4 [N, H, W, G]
        exemplar: Exemplar,
        masks: np.ndarray | None,  # bool [N, H, W]
        seed: int,
    ) -> None:
        self._source_guidance, self._guidance = instruction.source_guidance, instruction.guidance
        self._settings, self._aligned = _settings(instruction.fidelity)
        self._sources, self._guides, self._masks, self._exemplar = sources, guides, masks, exemplar
        self._random = np.random.default_rng(seed)
        self._warm: dict[tuple[str, int, int], _Warm] = {}
        self._everything: Exemplar | None = None

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        y = self._painted("y", x, level, batch, self._exemplar, self._guides)
        if self._guidance == 1 and self._source_guidance == 1:
            x0 = y
        else:
            s = self._aligned_to(x, level, batch)
            x0 = self._given_source("u", x, level, batch, s) + self._guidance * (y - s)
        return self._held(x0, batch.x, batch)

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        s = self._aligned_to(x, level, batch)
        assert batch.source is not None
        return self._held(self._given_source("ũ", x, level, batch, s), batch.source, batch)

    def _given_source(self, name: str, x: Tensor, level: NoiseLevel, batch: Batch, s: Tensor) -> Tensor:
        if self._source_guidance == 1:
            return s
        if self._everything is None:
            self._everything = Exemplar(_union(self._exemplar, self._sources))
        u = self._painted(name, x, level, batch, self._everything, None)
        return u + self._source_guidance * (s - u)

    def _aligned_to(self, x: Tensor, level: NoiseLevel, batch: Batch) -> Tensor:
        height, width = x.shape[2:]
        source = torch.stack([self._sources[p.image][:, p.top : p.top + height, p.left : p.left + width]
                              for p in batch.places])  # fmt: skip
        grown = _grown(height, width)
        pad = functional.pad
        return self._aligned(pad(x, grown, mode="reflect"), level, pad(source, grown, mode="reflect"))[
            ..., :height, :width
        ]

    def _painted(
        self, name: str, x: Tensor, level: NoiseLevel, batch: Batch, exemplar: Exemplar, guides: np.ndarray | None
    ) -> Tensor:
        """What patches of `exemplar` make of each sample, one after the other."""
        height, width = x.shape[2:]
        padded = functional.pad(x, _grown(height, width), mode="reflect")
        seen: dict[int, int] = {}
        before = [(key[1], warm) for key, warm in self._warm.items() if key[0] == name][::-1]
        out = []
        for sample, place in zip(padded.split(1), batch.places, strict=True):
            nth = seen[place.image] = seen.get(place.image, -1) + 1
            warm = self._warm.pop((name, place.image, nth), None)
            if warm is None or (warm.place, warm.size) != (place, (height, width)):
                denoiser = self._denoiser(exemplar, guides, place, height, width)
                near = [(old, old.denoiser.matches) for image, old in before if image == place.image]
                denoiser.matches = carried(
                    [
                        (matches, place.top - old.place.top, place.left - old.place.left)
                        for old, matches in near
                        if matches is not None and old.size == (height, width)
                    ]
                )
                warm = _Warm(place, (height, width), denoiser)
            self._warm[name, place.image, nth] = warm  # the newest last
            out.append(warm.denoiser(sample, level))
        return torch.cat(out)[..., :height, :width]

    def _denoiser(
        self, exemplar: Exemplar, guides: np.ndarray | None, place: Place, height: int, width: int
    ) -> ExemplarDenoiser:
        _, right, _, down = _grown(height, width)
        rows, columns = slice(place.top, place.top + height), slice(place.left, place.left + width)

        def cut(array: np.ndarray) -> np.ndarray:
            sides = ((0, 0), (0, down), (0, right), (0, 0))[: array.ndim]
            return np.pad(array[place.image : place.image + 1, rows, columns], sides, mode="reflect")

        return ExemplarDenoiser(
            exemplar, settings=self._settings, seed=int(self._random.integers(1 << 31)),
            guide=None if guides is None else cut(guides), mask=None if self._masks is None else cut(self._masks),
        )  # fmt: skip

    def _held(self, x0: Tensor, clean: Tensor, batch: Batch) -> Tensor:
        """x0, with what is there already where nothing may change."""
        if self._masks is None:
            return x0
        height, width = x0.shape[2:]
        cuts = [self._masks[p.image, p.top : p.top + height, p.left : p.left + width] for p in batch.places]
        return torch.where(torch.from_numpy(np.stack(cuts))[:, None], x0, clean)


def _grown(height: int, width: int) -> tuple[int, int, int, int]:
    """Padding, as torch wants it, to sides that the denoiser divides."""
    return 0, -width % _UNIT, 0, -height % _UNIT


def _union(exemplar: Exemplar, sources: Tensor) -> np.ndarray:
    """The exemplar and some sources side by side, f4 [h, w, 3] in [0, 1]; shorter ones are mirrored downwards."""
    pictures = [exemplar.image, *sources[:_UNION].permute(0, 2, 3, 1).numpy()]
    height = max(map(len, pictures))
    sides = [((0, height - len(picture)), (0, 0), (0, 0)) for picture in pictures]
    grown = [np.pad(picture, side, mode="symmetric") for picture, side in zip(pictures, sides, strict=True)]
    return np.concatenate(grown, 1) / 2 + np.float32(0.5)
