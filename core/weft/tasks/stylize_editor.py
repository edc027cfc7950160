"""Views painted anew from the patches of a style picture: the editor behind `weft stylize` without downloaded weights.

Image analogies (Hertzmann et al. 2001) on the exemplar denoiser: guides, channels that style and views have in common,
tell where in the style each part of a view may come from (`style_guides`). Patches whose guides differ by δ are
exp(-‖δ‖²/2σ²) times as likely; σ falls with the wanted fidelity.

The multi-view prior A' is the same thing with one picture more: the edited view stands beside the style, with what
guided it, and is preferred to it. Where it shows nothing like it, the style is there as before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import InvalidImage, InvalidInput
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.schedule import NoiseLevel, Schedule, stable_diffusion
from weft.spaces.linear import LinearSpace
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.painted_sphere import Sphere, find_sphere
from weft.tasks.phases import Painter, resized
from weft.tasks.style_guides import continued, lightness_guides, normal_guides
from weft.tasks.views_editor import EmbeddedEditor

__all__ = ["GUIDES", "StyleEditor"]

GUIDES = ("automatic", "luminance", "normals")
_UNIT = 16  # px, what the exemplar denoiser divides
_TIGHTEST = 0.036  # σ of the guides at fidelity 1; σ = tightest / fidelity²
_FREE = 1e3  # σ at fidelity 0
_SCALES = ((0.5, 2, 5), (0.3, 4, 5), (0.15, 8, 7), (0.0, 16, 9))  # from a fidelity: coarsest level, patch
_MARGIN = 12  # px that are painted beyond what may change: a patch is 10 px
_MOST = 640  # px of a painted sphere
_PREFERENCE = 0.5  # σ by which the style lies farther away than the edited view
_GAP = 4  # px between the two


class StyleEditor(EmbeddedEditor):
    """A `ViewEditor` of sRGB images in [-1, 1], on the CPU.

    images f4 [N, H, W, 3] sRGB in [0, 1]; mask bool [N, H, W], what may change; style f4 [h, w, 3]; `geometry` is
    needed for normals. `guide`: one of GUIDES; automatic takes normals where the style is a painted sphere and geometry
    is known. `fidelity` in [0, 1]; `pattern_scale` 1 shows the style's longer side across a view's shorter one.
    """

    def __init__(
        self,
        images: np.ndarray,
        geometry: ViewGeometry | None,
        mask: np.ndarray,
        style: np.ndarray,
        *,
        guide: str = "automatic",
        fidelity: float = 0.6,
        pattern_scale: float = 1.0,
        steps: int = 30,
    ) -> None:
        _check(guide, fidelity, mask)
        views, height, width = images.shape[:3]
        self.schedule: Schedule = stable_diffusion(steps)
        self.shape = (views, 3, height, width)
        self.source = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2) * 2 - 1
        self.mask = mask
        sphere = None if guide == "luminance" else find_sphere(style)
        self.guide = _chosen(guide, sphere, geometry)
        span = pattern_scale * min(height, width)
        if self.guide == "normals":
            assert sphere is not None
            assert geometry is not None
            self.style, sphere = _sphere_picture(style, sphere, span)
            guides, own = normal_guides(geometry.normal, geometry.cameras, sphere, *self.style.shape[:2])
            shown = mask & geometry.mask
        else:
            self.style = Painter(style, span).exemplar().image / 2 + 0.5
            guides, own = lightness_guides(images, mask, self.style)
            shown = mask
        self._guides, self._painted = continued(guides, shown, _MARGIN)
        self._own = own
        self._settings = _settings(fidelity)

    def editor(self, seed: int) -> Denoiser:
        """A: patches of the style."""
        return self._denoiser(Exemplar(self.style, self._own), self._guides, seed)

    def prior(self, reference: int, edited: Tensor, seed: int) -> Denoiser:
        """A': patches of the edited view and of the style. Two channels more: what is neither, and what is not first
        choice."""
        picture = edited.permute(1, 2, 0).numpy() / 2 + 0.5
        aside = _PREFERENCE * self._settings.guide_noise
        first = _flagged(self._guides[reference], ~self._painted[reference], 0.0)
        second = _flagged(self._own, np.zeros(self._own.shape[:2], bool), aside)
        exemplar = Exemplar(_beside(picture, self.style, 0.5), _beside(first, second, 1.0))
        guides = np.stack([_flagged(own, np.zeros(own.shape[:2], bool), 0.0) for own in self._guides])
        return self._denoiser(exemplar, guides, seed)

    def _denoiser(self, exemplar: Exemplar, guides: np.ndarray, seed: int) -> Denoiser:
        height, width = self.shape[2:]
        down, right = -height % _UNIT, -width % _UNIT
        grown = ((0, 0), (0, down), (0, right))
        padded = ExemplarDenoiser(
            exemplar, settings=self._settings, seed=seed, mask=np.pad(self._painted, grown, mode="reflect"),
            guide=np.pad(guides, (*grown, (0, 0)), mode="reflect"),
        )  # fmt: skip

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            return padded(functional.pad(x, (0, right, 0, down), mode="reflect"), level)[..., :height, :width]

        return denoise

    def agreed(self, space: LinearSpace) -> Callable[[Tensor], Tensor]:
        """F. What may not change but is seen keeps its colours, and views that may paint it are held to them."""
        held = torch.from_numpy(space.covered.reshape(self.mask.shape) & ~self.mask)[:, None]

        def agree(x0: Tensor) -> Tensor:
            return space.synchronize(torch.where(held, self.source, x0))[0]

        return agree

    def images(self, x0: Tensor) -> Tensor:
        return torch.where(torch.from_numpy(self.mask)[:, None], x0, self.source)


def _settings(fidelity: float) -> ExemplarSettings:
    """Where guides say what goes where, patches are small, to follow it; where they do not, patches must hold the
    style's own structure."""
    noise = min(_FREE, _TIGHTEST / max(fidelity, 1e-6) ** 2)
    coarsest, patch = next((level, side) for least, level, side in _SCALES if fidelity >= least)
    return ExemplarSettings(coarsest=coarsest, patch=patch, fine_patch=min(patch, 7), guide_noise=noise)


def _chosen(guide: str, sphere: Sphere | None, geometry: ViewGeometry | None) -> str:
    if guide == "automatic":
        return "luminance" if sphere is None or geometry is None else "normals"
    if guide == "normals" and sphere is None:
        raise InvalidImage(
            "the style shows no sphere on a plain ground", "paint one, or guide by luminance, which takes any picture"
        )
    if guide == "normals" and geometry is None:
        raise InvalidInput("nothing is known of the views' normals", "give a mesh or depth, or guide by luminance")
    return guide


def _sphere_picture(style: np.ndarray, sphere: Sphere, span: float) -> tuple[np.ndarray, Sphere]:
    """The sphere's part of the picture, with a longer side of `span` pixels."""
    picture, sphere = sphere.cropped(style)
    scaled = resized(picture, max(Exemplar.SMALLEST, round(min(span, _MOST))))
    return scaled, sphere.scaled(max(scaled.shape[:2]) / max(picture.shape[:2]))


def _flagged(guide: np.ndarray, nothing: np.ndarray, aside: float) -> np.ndarray:
    """Guide [h, w, G] with the two channels that `prior` adds."""
    extra = np.stack([nothing, np.full(nothing.shape, aside)], -1)
    return np.concatenate([guide, extra], -1, dtype=np.float32)


def _beside(left: np.ndarray, right: np.ndarray, between: float) -> np.ndarray:
    """[h, w, C] pictures side by side; `between` fills what neither shows, in the last but one channel of guides in all
    of them."""
    height = max(len(left), len(right))
    canvas = np.full((height, left.shape[1] + _GAP + right.shape[1], left.shape[2]), between, np.float32)
    canvas[: len(left), : left.shape[1]] = left
    canvas[: len(right), left.shape[1] + _GAP :] = right
    return canvas


def _check(guide: str, fidelity: float, mask: np.ndarray) -> None:
    if guide not in GUIDES:
        raise InvalidInput(f"no guide is called {guide!r}", f"choose one of {', '.join(GUIDES)}")
    if not 0 <= fidelity <= 1:
        raise InvalidInput(f"fidelity = {fidelity:g} is outside 0 to 1", "1 keeps the views' shapes, 0 ignores them")
    if not mask.any():
        raise InvalidInput("the mask is empty: nothing may change", "paint what may change white")
