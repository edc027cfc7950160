"""Splats or a NeRF from words, or of a material in the shape of a proxy mesh: score distillation without a picture.

SDS (Poole et al. 2023, "DreamFusion") and CSD (Kim et al. 2023, section 4.4): renders of a scene are noised, a model
says what they should be, and the scene is moved that way; with CSD the views of a step share what each is told, and
keep apart, through Stein's kernel. Its distance is Euclidean, in pixels or latents: LPIPS, as in the paper, would need
downloaded weights (`Distillation.distance` takes one).

Without downloaded weights the model is the exemplar denoiser. It knows what a material looks like and not what things
look like, so that the proxy gives the shape: silhouettes are held, only colours are distilled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput, MissingDependency, ModelMissing, UnknownName
from weft.geometry.mesh import Mesh
from weft.io.scene_files import SceneInfo
from weft.methods.score_distillation import RULES, Batch, Distillation, Place, distill
from weft.models.perceptual import perceptual_distance
from weft.noise import generator
from weft.scenes.kinds import KINDS
from weft.scenes.scene import Scene
from weft.scenes.splats import SplatScene
from weft.tasks.events import Checkpoint, Event, Preview, Progress, Result, Warning
from weft.tasks.network import Network
from weft.tasks.painting import Clock, choose_painter
from weft.tasks.proxy_views import ProxyViews, ball, begun, proxy_views
from weft.tasks.scene_results import held_out_arrays, splat_arrays, turning
from weft.tasks.scene_source import scene_array
from weft.tasks.text_to_3d_report import contact_sheet, measures
from weft.tasks.view_dreams import MaterialViews, NetworkViews, ViewModel

__all__ = ["RenderedViews", "text_to_3d"]

_RULES = ("csd", "sds")
_GREY = np.full(3, 0.6, np.float32)  # of a scene that begins without a material
_COLORS_ALONE = 4.0  # times a scene's usual rate, where nothing but colours learns
_FACING = 6  # power of the cosine at which a view has a say in what colour a place is
_SHOWN, _KEPT = 20, 60.0  # steps from one preview to the next, seconds from one checkpoint to the next


def text_to_3d(
    meshes: Sequence[Mesh],
    *,
    exemplar: np.ndarray | None,
    prompt: str,
    kind: str,
    rule: str,
    size: int,
    batch: int,
    splats: int,
    steps: int,
    view_words: bool,
    pattern_scale: float,
    seed: int,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. Previews show one view; a Checkpoint has what there is by then.

    meshes: the proxy, in a world with +Z up; none: a sphere. exemplar: f4 [h, w, 3] sRGB in [0, 1], the material,
    instead of words; networks go by words alone. `size` is rounded up to what the model can divide. Other parameters as
    in `weft_wire.jobs.text_to_3d`. The result has `scene`, `splats.*` in the proxy's world where it is made of splats,
    `view.images` f4 [N, H, W, 3], renders with their cameras, and with `report` contact_sheet and turntable. Raises
    WeftError before any work if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    _check(kind, rule, batch)
    model: ViewModel
    if network is None:
        material, painter = choose_painter(prompt, exemplar, 1, 1.0)
        model = MaterialViews(painter.picture, pattern_scale)
        color = painter.picture.mean((0, 1))
    else:
        yield from network.load(clock, exemplar)
        material, model, color = network.material(prompt), NetworkViews(network, prompt, view_words), _GREY
    if not meshes:
        told = "a sphere is painted" if network is None else "the scene begins as a sphere"
        yield Warning(f"there is no proxy: {told}", "give a mesh of the shape")
    with clock.phase("prepare"):
        proxy = proxy_views(meshes or [ball()], -(-size // model.unit) * model.unit)
    scene = yield from _shaped(proxy, kind, splats, color, seed, clock)
    distance = _looks_apart() if network is None and RULES[rule].kernel else None  # latents are no pictures
    settings = replace(model.defaults, rule=RULES[rule], steps=steps or model.defaults.steps, distance=distance)
    scene.restart(geometry=not model.keeps_shape, rate=_COLORS_ALONE if model.keeps_shape else 1.0)
    views = RenderedViews(scene, proxy, model, min(batch, len(proxy.cameras)), settings.steps, seed)
    yield from _distilled(views, settings, clock)
    if network is not None:
        yield from network.warnings((prompt,))
    yield Progress("finish", 1, 1, "measuring" if report else "collecting the scene")
    renders = views.rendered(range(len(proxy.cameras)))
    info: dict[str, Any] = {"material": material, "kind": kind, "rule": rule, "steps": settings.steps}
    info |= {"views": len(proxy.cameras), "proxy": "given" if meshes else "sphere"}
    info["kernel"] = "none" if not RULES[rule].kernel else "L2" if distance is None else "LPIPS"
    arrays = views.arrays(settings.steps) | held_out_arrays(renders, proxy.inside, proxy.frame)
    if report:
        with clock.phase("report"):
            picture = model.shown(proxy)
            info |= measures(scene, proxy, renders, picture)
            arrays["contact_sheet"] = contact_sheet(proxy, renders, color, picture)
            arrays["turntable"] = np.stack(list(turning(scene, proxy.inside, around=True)))
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _check(kind: str, rule: str, batch: int) -> None:
    if kind not in KINDS:
        raise UnknownName(f"no scene is made of {kind!r}", f"choose one of {', '.join(KINDS)}")
    if rule not in _RULES:
        raise InvalidInput(f"{rule!r} makes nothing of nothing", f"choose one of {', '.join(_RULES)}")
    if batch < 1:
        raise InvalidInput(f"batches of {batch} views, expected at least 1", "4 are usual")


def _looks_apart() -> Callable[[Tensor], Tensor] | None:
    """LPIPS, which Kim et al. 2023 take for the kernel of text-to-3D, where it is present; None, which is L2, else."""
    try:
        return perceptual_distance()
    except (MissingDependency, ModelMissing):
        return None


def _shaped(
    proxy: ProxyViews, kind: str, splats: int, color: np.ndarray, seed: int, clock: Clock
) -> Generator[Event, None, Scene]:
    """The scene in the proxy's shape."""
    run = begun(proxy, kind, splats, color, seed)
    while True:
        try:
            with clock.phase("shape"):
                done = next(run)
        except StopIteration as end:
            return end.value
        if done.step % _SHOWN == 0:
            yield Progress("shape", done.step, done.total)


def _distilled(views: RenderedViews, settings: Distillation, clock: Clock) -> Iterator[Event]:
    model = views.model
    source = generator(views.seed, 1)
    run = distill(views, model.estimator(views.proxy, views.seed), model.level_at, settings, source)
    kept = clock.elapsed()
    while True:
        with clock.phase("distil"):
            step = next(run, None)
        if step is None:
            return
        yield Progress("distil", step.index + 1, step.total)
        if (step.index + 1) % _SHOWN == 0 or step.index + 1 == step.total:
            yield Preview(0, views.rendered([0])[0], step.index + 1, step.total)
            if clock.elapsed() - kept > _KEPT:
                yield Checkpoint(views.arrays(step.index + 1), {"step": step.index + 1, "steps": step.total})
                kept = clock.elapsed()


@dataclass(eq=False)
class RenderedViews:
    """A `Variable`: renders of a scene by cameras around a proxy, of which a step draws `batch`."""

    scene: Scene
    proxy: ProxyViews
    model: ViewModel
    batch: int
    steps: int
    seed: int
    done: int = 0

    def __post_init__(self) -> None:
        self._noise = self.proxy.noise(3, generator(self.seed, 2)) if self.model.keeps_noise else None

    def rendered(self, views: Sequence[int]) -> np.ndarray:
        """f4 [B, H, W, 3] in [0, 1]."""
        return np.stack([self.scene.render(self.proxy.inside[view]).image for view in views]).clip(0, 1)

    def draw(self, generator: torch.Generator) -> Batch:
        views = torch.randperm(len(self.proxy.cameras), generator=generator)[: self.batch].tolist()
        self._images = self.rendered(views)
        noise = None if self._noise is None else self._noise[views]
        return Batch(self.model.encode(self._images), tuple(Place(view) for view in views), noise=noise)

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        wanted = self.model.pulled_back(self._images, rate * gradient)
        if self.model.keeps_shape:
            chosen = [place.image for place in batch.places]
            wanted = wanted * (self.proxy.facing[chosen] ** _FACING)[..., None]
        cameras = [self.proxy.inside[place.image] for place in batch.places]
        self.scene.descend(cameras, wanted, self.done, self.steps, self.seed)
        self.done += 1

    def arrays(self, step: int) -> dict[str, np.ndarray]:
        """The scene as it is now, as results hold it."""
        height, width = self.proxy.masks.shape[1:]
        frame = self.proxy.frame
        info = SceneInfo(frame.matrix, step, self.steps, self.seed, (width, height), self.proxy.cameras)
        found = {"scene": scene_array(self.scene, info)}
        if isinstance(self.scene, SplatScene):
            found |= splat_arrays(frame.out_of_splats(self.scene.splats()))
        return found
