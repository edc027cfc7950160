"""An illusion painted by the embedded denoiser: every view by patches that stay near their places in its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weft.denoiser import each
from weft.methods.synchronized import Case, Step, synchronized
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.models.materials import choose_material
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import Schedule
from weft.spaces.illusion import VIEW_UNIT, Transformation, illusion_space, weighted
from weft.tasks.events import Warning
from weft.tasks.illusion_report import FinishedIllusion, contact_sheet, measure
from weft.tasks.illusion_targets import make_targets
from weft.tasks.material_tile import material_tile

__all__ = ["ExemplarIllusion", "picture_of"]

PLACE = 0.03  # σ of the position guide, in sides: softer bends more and resembles less
_NOISE = 1  # stream of a seed


def picture_of(prompt: str, exemplar: np.ndarray | None) -> tuple[dict[str, Any], np.ndarray]:
    """What a view shows: the given picture, or the material that the prompt names; and the report on it."""
    if exemplar is not None:
        Exemplar(exemplar)  # refuses what cannot be painted with
        return {"name": "reference image", "asked": prompt, "exact": True, "note": ""}, exemplar
    choice = choose_material(prompt)
    info = {"name": choice.name, "asked": choice.asked, "exact": choice.exact, "note": choice.note}
    return info, material_tile(choice)


class ExemplarIllusion:
    """`steps` run it; `views` are how the image of `size`² pixels is looked at."""

    def __init__(
        self, slots: Sequence[tuple[str, np.ndarray | None]], names: Sequence[str], size: int, schedule: Schedule,
        seed: int,
    ) -> None:  # fmt: skip
        found = [picture_of(prompt, exemplar) for prompt, exemplar in slots]
        self.materials = [material for material, _ in found]
        self.size, self.schedule, self.seed = -(-size // VIEW_UNIT) * VIEW_UNIT, schedule, seed
        self._pictures, self._names, self._source = [picture for _, picture in found], names, generator(seed, _NOISE)

    def prepare(self) -> None:
        """Make the pictures fit each other."""
        self.targets = make_targets(self._pictures, self._names, self.size, self.seed)

    @property
    def views(self) -> list[Transformation]:
        return self.targets.views

    def warnings(self) -> Iterator[Warning]:
        """One if words that name no material gave several views the same one: there is nothing to see in that."""
        names = [material["name"] for material in self.materials]
        asked = [m["asked"] for m in self.materials if not m["exact"] and names.count(m["name"]) > 1]
        if asked:
            message = f"several views show the same material: none is called {' or '.join(map(repr, asked))}"
            yield Warning(message, "use words that `weft models` lists, or give reference images")

    def steps(self, case: Case) -> Iterator[Step]:
        """Every view by a denoiser of its own, whose patches stay near their places in what the view is asked to show.

        Without the guide, patches of a picture settle anywhere: a stuff, not the picture. The balance of mass, which
        keeps every part of a material in use, would move them too.
        """
        targets, size, schedule = self.targets, self.size, self.schedule
        space = weighted(illusion_space(targets.views, size), targets.views, targets.weights)
        settings = ExemplarSettings(guide_noise=PLACE, occupancy=0.0, sinkhorn_iterations=0)
        rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
        place = np.stack([columns, rows], -1)
        denoisers = [
            ExemplarDenoiser(Exemplar(wanted, place), settings=settings, seed=self.seed + i, guide=place[None])
            for i, wanted in enumerate(targets.wanted)
        ]
        source = self._source
        first, beginning = schedule.levels[0].sigma, source.get_state()
        z = first * gaussian((space.cells, 3), source)
        noise = CanonicalNoise(space.nearest, space.cells, space.view_shape, space.signs)
        x = first * noise(3, source.set_state(beginning))  # the views of that z: the field is drawn first
        return synchronized(each(denoisers), space, schedule, x, z=z, case=case)

    def report(
        self,
        image: NDArray[np.float32],
        views: Sequence[NDArray[np.float32]],
        states: Sequence[tuple[float, NDArray[np.float32]]],
    ) -> tuple[dict[str, Any], NDArray[np.float32]]:
        """Measures, and the contact sheet f4 [H, W, 3]."""
        labels = [material["asked"] or material["name"] for material in self.materials]
        finished = FinishedIllusion(self.targets, labels, states, image, views)
        return measure(finished), contact_sheet(finished)
