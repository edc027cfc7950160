"""The perceptual distance as a kernel's: pairs, symmetry, gradients; and what is said where LPIPS is absent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from weft.errors import BadCheckpoint, MissingDependency, ModelMissing
from weft.methods.score_distillation import Distillation, direction, stein_kernel
from weft.models import perceptual
from weft.models.perceptual import perceptual_distance
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel

WEIGHTS = {
    "features.3.weight": torch.tensor([[1.0, 2.0]]),
    "features.3.bias": torch.ones(1),
    "classifier": torch.ones(1),
}


class Package(ModuleType):
    """Stands in for lpips: mean squared difference, which tells the sizes that it sees."""

    def __init__(self) -> None:
        super().__init__("lpips")
        self.seen: list[tuple[int, ...]] = []
        self.networks: list[torch.nn.Module] = []

    def LPIPS(self, net: str, pnet_rand: bool, verbose: bool) -> torch.nn.Module:
        assert pnet_rand, "nothing but Weft reads weights"
        seen, found = self.seen, self.networks

        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = torch.nn.ModuleDict({"slice2": torch.nn.ModuleDict({"3": torch.nn.Linear(2, 1)})})
                found.append(self.net)

            def forward(self, a: Tensor, b: Tensor) -> Tensor:
                seen.append(tuple(a.shape))
                return (a - b).square().mean((1, 2, 3), keepdim=True)

        return Model()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Package:
    present = Package()
    monkeypatch.setitem(sys.modules, "lpips", present)
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(WEIGHTS, tmp_path / "checkpoints" / perceptual._BACKBONE)
    return present


def test_all_pairs_are_compared_once(package: Package) -> None:
    x = gaussian((4, 3, 32, 40), generator(0))
    distances = perceptual_distance()(x)
    assert package.seen == [(6, 3, 64, 80)]  # enlarged, and each pair once
    assert torch.equal(distances, distances.T)
    assert (distances.diagonal() == 0).all()
    assert (distances[~torch.eye(4, dtype=torch.bool)] > 0).all()
    assert perceptual_distance()(x[:1]).tolist() == [[0.0]]


def test_it_is_a_distance_of_the_kernel(package: Package) -> None:
    """Repulsion under it is its gradient: pictures look less alike one small step along it."""
    x, distance = gaussian((4, 3, 64, 64), generator(1)), perceptual_distance()
    kernel, repulsion = stein_kernel(x, distance)
    assert (kernel.diagonal() == 1).all()
    assert distance(x - 10 * repulsion).sum() > distance(x).sum()
    gradient, _ = direction(x, x, NoiseLevel(0.8, 0.6), Distillation(distance=distance))
    assert torch.isfinite(gradient).all()


def test_the_backbone_gets_the_weights_that_are_there(package: Package) -> None:
    perceptual_distance()
    for name, value in package.networks[0].state_dict().items():
        assert torch.equal(value, WEIGHTS[f"features.{name.removeprefix('slice2.')}"])


class Running:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("content", [b"no weights", b"", Running(), {"features.3.bias": torch.ones(1)}])
def test_what_holds_no_weights_is_refused_and_runs_nothing(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "checkpoints" / perceptual._BACKBONE
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(BadCheckpoint, match="no weights of AlexNet"):
        perceptual_distance()
    assert not Path("ran").exists()


def test_what_is_absent_is_said(package: Package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / perceptual._BACKBONE).unlink()
    with pytest.raises(ModelMissing, match="alexnet"):
        perceptual_distance()
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="lpips"):
        perceptual_distance()
