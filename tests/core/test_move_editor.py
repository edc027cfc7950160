"""The editor that completes moved views: what it holds, what it paints, and with what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_moves import beside, stage
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.rigid import Rigid
from weft.methods.view_editing import Models, edited_views, find_way
from weft.noise import gaussian, generator
from weft.spaces.carried import CoarseEdit
from weft.spaces.moved import Moved, moved_mesh
from weft.tasks.move_editor import MoveEditor

STEPS = 5


def punched(moved: Moved, coarse: CoarseEdit) -> CoarseEdit:
    """The same with a square of the wall unknown in every view, grey."""
    holes = np.zeros_like(coarse.holes)
    holes[:, 52:68, 30:52] = True
    images = np.where(holes[..., None], np.float32(0.5), coarse.images)
    assert not (holes & moved.now).any()
    return CoarseEdit(images, coarse.holes | holes, coarse.kept & ~holes)


def run(editor: MoveEditor, moved: Moved, way: str = "synchronized", seed: int = 0) -> Tensor:
    source = generator(seed, 0)
    level = editor.schedule.levels[0]
    first = level.alpha * editor.clean + level.sigma * gaussian(editor.shape, source)
    agree = editor.agreed(moved.after.space(20.0))
    models = Models(editor.editor(seed), None, lambda x0, level: agree(x0))
    steps = edited_views(
        find_way(way), models, editor.schedule, first, strength=0.0, noise=lambda: gaussian(editor.shape, source)
    )
    *_, last = steps
    return editor.images(last.x0)


def pixels(images: Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy() / 2 + 0.5


def test_what_is_known_comes_back_and_holes_are_painted() -> None:
    at = stage()
    coarse = punched(at.moved, at.coarse)
    images = run(MoveEditor(at.moved, coarse, strength=0.0, steps=STEPS), at.moved)
    np.testing.assert_allclose(pixels(images)[~coarse.holes], coarse.images[~coarse.holes], atol=1e-6)
    inside = coarse.holes & ~at.coarse.holes & ~beside(coarse.holes)
    painted = pixels(images)[inside]
    assert painted.std(0).mean() > 0.5 * at.truth[inside].std(0).mean()  # the wall's pattern, not the grey of the fill
    assert images.abs().max() <= 1.001
    again = run(MoveEditor(at.moved, coarse, strength=0.0, steps=STEPS), at.moved)
    assert torch.equal(images, again)


def test_strength_loosens_what_was_carried_and_never_what_was_kept() -> None:
    at = stage()
    images = pixels(run(MoveEditor(at.moved, at.coarse, strength=0.7, steps=STEPS), at.moved, "per_view"))
    np.testing.assert_allclose(images[at.coarse.kept], at.images[at.coarse.kept], atol=1e-6)
    carried = at.moved.now & ~at.coarse.holes & ~at.coarse.kept
    change = np.abs(images - at.coarse.images)[carried]
    assert 0.002 < change.mean() < 0.12


def test_holes_are_not_painted_with_the_object() -> None:
    """A red ball before a wall of greens and blues, and a hole in the wall: no red comes into it."""
    at = stage()
    images = np.where(
        at.moved.now[..., None], np.array((1, 0, 0), np.float32), at.truth * np.array((0, 1, 1), np.float32)
    )
    coarse = punched(at.moved, replace(at.coarse, images=images.astype(np.float32)))
    edited = pixels(run(MoveEditor(at.moved, coarse, strength=0.0, steps=STEPS), at.moved, "per_view"))
    inside = coarse.holes & ~at.coarse.holes & ~beside(coarse.holes)
    assert edited[inside][:, 0].mean() < 0.1


def test_a_prior_is_told_of_the_edited_view() -> None:
    at = stage()
    editor = MoveEditor(at.moved, punched(at.moved, at.coarse), strength=0.0, steps=STEPS)
    green = torch.where(editor._holes[2], torch.tensor([-1.0, 1.0, -1.0])[:, None, None], editor.clean[2])
    prior = editor.prior(2, green, 0)
    x0 = prior(editor.clean, editor.schedule.levels[-2])
    assert torch.equal(x0[2], green)
    assert torch.equal(torch.where(editor._holes, editor.clean, x0)[:2], editor.clean[:2])


def test_nothing_open_gives_the_coarse_edit() -> None:
    at = stage()
    still = moved_mesh(at.space, at.ball, Rigid(np.eye(4)))
    nothing = np.zeros_like(at.moved.now)
    editor = MoveEditor(still, CoarseEdit(at.images, nothing, ~nothing), strength=1.0, steps=STEPS)
    assert torch.equal(run(editor, still), editor.clean)


def test_strengths_outside_their_range_are_refused() -> None:
    at = stage()
    with pytest.raises(InvalidInput, match=r"strength = 1\.5 is outside 0 to 1"):
        MoveEditor(at.moved, at.coarse, strength=1.5)
