"""Checkpoints of nerfstudio's splatfacto: newer and older, with all else in them; what would run code is refused."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from practice_splat_files import cloud, inria

from weft.errors import InvalidInput
from weft.geometry.splats import Splats
from weft.io.splats import load_splats, save_splats

SPLATS = cloud(40, 3)


def parts(splats: Splats) -> dict[str, torch.Tensor]:
    """As `SplatfactoModel.populate_modules` of nerfstudio 1.1.5 calls and shapes them."""
    arrays = {
        "means": splats.means, "quats": splats.quaternions, "scales": splats.log_scales,
        "opacities": splats.logits[:, None], "features_dc": splats.sh[:, 0], "features_rest": splats.sh[:, 1:],
    }  # fmt: skip
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def pipeline(splats: Splats, prefix: str = "_model.gauss_params.") -> dict[str, torch.Tensor]:
    state = {f"{prefix}{name}": tensor for name, tensor in parts(splats).items()}
    return {"_model.device_indicator_param": torch.zeros(0), "_model.lpips.net.means": torch.zeros(1), **state}


def write(path: Path, state: Any, **more: Any) -> Path:
    torch.save({"step": 29999, "pipeline": state, **more}, path)
    return path


@pytest.mark.parametrize("prefix", ["_model.gauss_params.", "_model.", "module._model.gauss_params."])
@pytest.mark.parametrize("degree", [0, 3])
def test_the_splats_of_a_checkpoint_are_those_of_the_model(tmp_path: Path, prefix: str, degree: int) -> None:
    """Beside optimisers whose learning rates are NumPy's, as nerfstudio's schedulers leave them."""
    made = cloud(40, degree)
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
    optimiser.param_groups[0]["lr"] = np.float64(1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: np.exp(-step))
    more = {"optimizers": {"means": optimiser.state_dict()}, "schedulers": {"means": schedule.state_dict()}}
    file = load_splats(write(tmp_path / "step-000029999.ckpt", pipeline(made, prefix), scalers={}, **more))
    for name in ("means", "quaternions", "log_scales", "logits", "sh"):
        assert np.array_equal(getattr(file.splats, name), getattr(made, name))
    assert "normalised frame" in file.notes[0]
    save_splats(tmp_path / "out.ply", file)
    (tmp_path / "same.ply").write_bytes(inria(made))
    assert np.array_equal(load_splats(tmp_path / "out.ply").splats.sh, load_splats(tmp_path / "same.ply").splats.sh)


class Runs:
    """Leaves a file behind where a pickle of it is opened without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    write(tmp_path / "a.ckpt", pipeline(SPLATS), extra=Runs(mark))
    with pytest.raises(InvalidInput, match=r"^'a\.ckpt': the checkpoint asks for \w+\.mkdir, which could run code"):
        load_splats(tmp_path / "a.ckpt")
    write(tmp_path / "a.ckpt", pipeline(SPLATS), extra=pytest.approx)
    with pytest.raises(InvalidInput, match="which could run code"):
        load_splats(tmp_path / "a.ckpt")
    assert not mark.exists()


def without(state: dict[str, Any], part: str, value: Any = None) -> dict[str, Any]:
    """The state with another tensor, or none."""
    name = f"_model.gauss_params.{part}"
    return {key: one for key, one in state.items() if key != name} | ({} if value is None else {name: value})


STATE = pipeline(SPLATS)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"_model.field.mlp.weight": torch.zeros(2), "_model.x": torch.zeros(1)},
            "no Gaussians of splatfacto, it has 'field'",
        ),
        ({}, "no Gaussians of splatfacto"),
        (None, "holds no pipeline"),
        (without(STATE, "opacities"), "Gaussians have no opacities"),
        (without(STATE, "quats", torch.ones(39, 4)), r"quats of the checkpoint is \[39, 4\], expected \[40, 4\]"),
        (without(STATE, "features_rest", torch.ones(40, 24, 3)), r"features_rest of the checkpoint is \[40, 24, 3\]"),
        (without(STATE, "means", 3), "means of the checkpoint is no tensor"),
        (without(STATE, "means", torch.ones(40, 3).long()), "means of the checkpoint is no tensor of numbers"),
        (without(STATE, "means", torch.full((40, 3), torch.nan)), "40 of 40 splats have a position at NaN"),
        (without(STATE, "means", torch.ones(40, 2)), r"means is float32 \[40, 2\]"),
    ],
)
def test_other_checkpoints_are_told_in_one_line(tmp_path: Path, state: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        load_splats(write(tmp_path / "a.ckpt", state))
    assert "\n" not in str(caught.value)


def test_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"pipeline": STATE}, stream)
    data = stream.getvalue()
    for damaged in (b"", b"text", data[:100], data[:-40], data[:9] + data[300:], torch.zeros(3).numpy().tobytes()):
        (tmp_path / "a.ckpt").write_bytes(damaged)
        with pytest.raises(InvalidInput, match=r"^'a\.ckpt'") as caught:
            load_splats(tmp_path / "a.ckpt")
        assert "\n" not in str(caught.value)
        assert caught.value.hint
