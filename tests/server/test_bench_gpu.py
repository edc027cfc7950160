"""`weft bench gpu`, tiny and on the processor: it says all that it should, and its parts agree with each other."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from practice_commands import refused, weft
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from weft.benchmarks import gpu
from weft.benchmarks.device_clock import DeviceClock
from weft.benchmarks.gpu_job import Setting, conditioning_of, one_by_one, paint, rendered_depth
from weft.benchmarks.gpu_models import SHAPES, build, network_and_control, shape_named
from weft.models.networks.open_model import open_model
from weft.models.networks.view_attention import FRONT_ABOVE

ROOT = Path(__file__).resolve().parents[2]
HERE, META = torch.device("cpu"), torch.device("meta")
SMALL = Setting(views=2, size=64, texture=32, steps=2)
both = pytest.mark.parametrize("model", ["sd15", "sdxl"])


@both
def test_the_command_prints_every_number(model):
    status, said, complained = weft("bench", "gpu", "--tiny", "--model", model, "--steps", 1, "--texture-size", 32)
    assert (status, complained) == (0, "")
    assert "without a GPU" in said
    assert f"tiny {model} with depth control, 2 views of 64² px, 1 steps, 32² texture" in said
    cells = [line.strip("| ").split(" | ") for line in said.splitlines() if line.startswith("| ")]
    values = {name.strip(): value for name, value, *_ in cells}
    for name in (
        "large matrix product", "one view at a time", "texels", "rasterise", "spaces", "conditioning", "network",
        "synchronise", "decode", "bake", "rest", "whole job", "synchronisation and rasterisation",
        "task: cameras", "task: network", "task: codec", "task: views tied and shown", "task: submit to final",
        "operations of the networks", "utilisation of the ceiling", "one view at a time / whole job",
    ):  # fmt: skip
        assert float(values[name].split()[0]) >= 0


def test_the_phases_add_up_to_the_whole():
    rows = {row.what: row for row in gpu.measure("sd15", SMALL, device=HERE, tiny=True)}
    whole = rows["whole job"].value
    shared = [row for row in rows.values() if row.share is not None and row.what != "whole job"]
    phases = [row for row in shared if not row.what.startswith("task")]
    phases.remove(rows["synchronisation and rasterisation"])
    assert sum(row.value for row in phases) == pytest.approx(whole)
    assert sum(row.share for row in phases if row.share is not None) == pytest.approx(1)
    assert rows["rest"].value > -0.01 * whole  # phases do not overlap
    assert rows["rate of the networks"].value * rows["network"].value == pytest.approx(
        rows["operations of the networks"].value
    )


def test_the_phases_of_the_task_add_up_to_it():
    rows = {row.what: row for row in gpu.measure_task("sd15", SMALL, device=HERE)}
    whole, rest = rows.pop("task: submit to final").value, rows.pop("task: all but network and codec").value
    assert sum(row.value for row in rows.values()) == pytest.approx(whole)
    assert rest + rows["task: network"].value + rows["task: codec"].value == pytest.approx(whole)
    assert all(row.value > -0.01 * whole for row in rows.values())  # phases do not overlap


def test_the_task_is_measured_without_a_network():
    status, said, complained = weft("bench", "gpu", "--without-network", "--tiny", "--texture-size", 32)
    assert (status, complained) == (0, "")
    assert "no network in the place of sd15" in said
    assert "| task: submit to final |" in said


def test_warming_up_meets_all_that_is_compiled():
    """At high noise views also look at the front, for which blocks compile once more."""
    levels = open_model(build(shape_named("sd15", tiny=True), META, torch.float32)).levels
    times = [levels.timestep(level) for level, _ in levels.schedule(gpu.WARM_STEPS)]
    assert max(times) > FRONT_ABOVE > min(times)


@both
def test_operations_counted_on_shapes_are_those_of_a_run(model):
    shape = shape_named(model, tiny=True)
    setting = replace(SMALL, attention=False)
    denoiser = open_model(build(shape, HERE, torch.float32)).bind(conditioning_of(rendered_depth(setting), setting))
    level = open_model(build(shape, META, torch.float32)).levels.schedule(2).levels[0]
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # the fused one is not counted here
        denoiser(torch.randn(2, 4, 8, 8), level)
    assert gpu.network_operations(shape, setting) == 2 * counter.get_total_flops()
    assert gpu.network_operations(shape, replace(setting, attention=True)) > 2 * counter.get_total_flops()


@pytest.mark.parametrize(
    ("model", "network", "control"), [("sd15", 859_520_964, 361_279_120), ("sdxl", 2_567_463_684, None)]
)
def test_full_shapes_have_as_many_weights_as_the_published_models(model, network, control):
    """The numbers of the U-Net of SD 1.5, its ControlNets, and the U-Net of SDXL base."""
    made = network_and_control(SHAPES[model], META, torch.float32)
    counts = [sum(parameter.numel() for parameter in module.parameters()) for module in made]
    assert counts[0] == network
    assert control is None or counts[1] == control


def test_weights_and_textures_come_from_the_seed_alone():
    shape, textures = shape_named("sd15", tiny=True), []
    before = torch.get_rng_state()
    for _ in range(2):
        model = open_model(build(shape, HERE, torch.float32))
        textures.append(paint(model, SMALL, DeviceClock(HERE)))
    assert torch.equal(*textures)
    assert torch.isfinite(textures[0]).all()
    assert torch.equal(torch.get_rng_state(), before)


@both
def test_the_plain_way_makes_a_picture_of_every_view(model):
    components = build(shape_named(model, tiny=True), HERE, torch.float32)
    pictures = one_by_one(components, SMALL, rendered_depth(SMALL), [0, 1])
    assert [tuple(picture.shape) for picture in pictures] == [(1, 3, 64, 64)] * 2
    assert not torch.equal(*pictures)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--device", "cuda:99"), "no device 'cuda:99'"),
        (("--device", "gadget"), "no device is called 'gadget'"),
        (("--tiny", "--size", 60), "views of 60 px (choose a multiple of 16)"),
        (("--tiny", "--views", 0), "0 views"),
        (("--tiny", "--steps", 0), "0 steps"),
        (("--tiny", "--texture-size", 1), "a texture of 1 px"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(options, told):
    assert told in refused("bench", "gpu", *options)


def test_the_command_runs_uninstalled(monkeypatch):
    """On a bare machine its folders are merely on the path."""

    def nowhere(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nowhere)
    assert weft("--version")[:2] == (0, "weft uninstalled\n")


def test_the_script_runs_where_only_torch_is_installed(tmp_path):
    """It finds the packages itself and writes the report; here none of them has to be carried."""
    report = tmp_path / "gpu.md"
    found = subprocess.run(
        [ROOT / "scripts" / "benchmark_gpu", "--tiny", "--steps", "1", "--texture-size", "32"],
        env={**os.environ, "WEFT_PYTHON": sys.executable, "WEFT_GPU_REPORT": str(report)},
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    written = report.read_text("utf-8")
    assert written.startswith("# ")
    assert "| whole job |" in written
