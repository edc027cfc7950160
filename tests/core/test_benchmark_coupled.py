"""The benchmark of coupled sampling: its laws, its scenes, and that every row is printed."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weft.benchmarks import coupled, coupled_rows
from weft.benchmarks.coupled_rows import exposed_psnr, measure, recipes, table
from weft.benchmarks.coupled_scenes import LitScene, Shot, Thing, is_rendered, load_scene, reflectances, write_scene
from weft.benchmarks.coupled_spheres import SphereEditor
from weft.benchmarks.torus import torus
from weft.errors import InvalidInput
from weft.geometry.colour import encoded, linear
from weft.geometry.environment import Environment
from weft.geometry.lights import light_named
from weft.io.images import to_bytes
from weft.methods.coupled_sampling import Trajectory
from weft.methods.coupled_sampling import coupled as coupled_steps
from weft.methods.view_editing import WAYS, Models, edited_views
from weft.noise import gaussian, generator
from weft.tasks.sheet import TILE
from weft_server.cli import main

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "render_relighting.py"
LIGHTS = ("studio", "sunset")


@pytest.fixture(scope="module")
def scene() -> LitScene:
    return coupled.quick_scene(coupled.Size(64, 4, 3))


@pytest.fixture(scope="module")
def spheres(scene) -> SphereEditor:
    editor = coupled.editor_of("spheres", scene, LIGHTS, 3)
    assert isinstance(editor, SphereEditor)
    return editor


def test_every_way_is_a_row(capsys, tmp_path):
    assert main(["bench", "coupled", "--quick", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for editor in ("quotient", "spheres"):
        own = [line for line in lines if line.startswith(editor) and "torus, studio to sunset" in line]
        for recipe in recipes((0.4,)):
            assert any(f"  {recipe.label}  " in line for line in own), (editor, recipe)
    page = (tmp_path / "coupled.md").read_text()
    assert page.count("| spheres | torus, studio to sunset |") >= len(WAYS)
    assert (tmp_path / "coupled_trade.png").read_bytes().startswith(b"\x89PNG")
    with Image.open(tmp_path / "torus-studio-sunset-spheres.jpg") as picture:
        assert picture.size == (2 * TILE, 6 * TILE)


def test_the_truth_is_the_truth(scene):
    truth = scene.views["sunset"]
    numbers = measure(scene, truth, truth)
    assert numbers["psnr"] == math.inf
    assert numbers["ssim"] == pytest.approx(1)
    assert numbers["of_truth"] == 1
    assert numbers["sharpness"] == 1
    assert numbers["consistency"] > 30  # matt: all that differs is sampling


def test_exposure_is_forgiven_and_nothing_else(scene):
    """A darker exposure in another tint is the same picture to `exposed_psnr`; another picture is not."""
    truth = 0.6 * scene.views["sunset"]
    tinted = encoded(linear(truth) * np.array([0.8, 0.9, 1.2], np.float32))
    assert exposed_psnr(tinted, truth, scene.mask) > 80
    other = exposed_psnr(scene.views["studio"], truth, scene.mask)
    assert measure(scene, scene.views["studio"], truth)["psnr"] < other < 30


def test_without_coupling_the_prior_goes_its_own_way(scene, spheres):
    """λ = 0 is the row `single_edit`, to the bit, whatever the editor beside it does."""
    edited = torch.from_numpy(scene.views["sunset"][0]).permute(2, 0, 1) * 2 - 1
    x = spheres.schedule.levels[0].sigma * gaussian(spheres.shape, generator(1))
    agree = spheres.agreed(scene.geometry.space(6.0))

    def prior():
        told = spheres.prior(0, edited.contiguous(), 0)
        return lambda x, level: agree(told(x, level))

    def noise(seed: int):
        own = generator(seed)
        return lambda: gaussian(spheres.shape, own)

    beside = Trajectory(spheres.editor(0), spheres.schedule, x, 1.0, noise(2))
    *_, both = coupled_steps([beside, Trajectory(prior(), spheres.schedule, x, 1.0, noise(3))], 0.0, units="lambda")
    models = Models(spheres.editor(0), prior())
    *_, alone = edited_views(WAYS["single_edit"], models, spheres.schedule, x, strength=0.0, noise=noise(3))
    assert torch.equal(both.x0[1], alone.x0)
    assert not torch.equal(both.x0[0], both.x0[1])


def test_tables_become_pages():
    row = coupled_rows.Row("spheres", "torus, a to b", "coupled, κ = 0.4", dict.fromkeys(coupled_rows.COLUMNS, 0.5))
    page = coupled.markdown(list(table([row]))).splitlines()
    assert page[0].startswith("| editor | case | way | PSNR | exposed |")
    assert (
        page[2]
        == "| spheres | torus, a to b | coupled, κ = 0.4 | " + " | ".join(["0.500"] * len(coupled_rows.COLUMNS)) + " |"
    )


def test_paint_is_many_colours_and_never_black():
    points = np.random.default_rng(0).normal(size=(2000, 3))
    linear = reflectances(points / np.linalg.norm(points, axis=1, keepdims=True), 0)
    assert linear.min() >= 0.02
    assert linear.max() <= 0.9
    assert linear.std(0).min() > 0.05


def test_lights_are_equally_bright():
    lights = coupled.lights_of({"mine": Environment(np.full((4, 8, 3), 9.0, np.float32))})
    assert "mine" in lights
    for light in lights.values():
        assert light.mean @ np.array([0.2126, 0.7152, 0.0722]) == pytest.approx(coupled.LEVEL, rel=1e-3)


def _write(folder: Path, **changes) -> None:
    shots = {name: Shot(light_named(name)) for name in LIGHTS}
    write_scene(folder, [Thing(torus())], shots, **({"size": 48, "views": 2, "samples": 16} | changes))


def _pretend(folder: Path) -> None:
    """Pictures as a path tracer would leave them."""
    for name in LIGHTS:
        (folder / name).mkdir(exist_ok=True)
        for i in range(2):
            Image.fromarray(to_bytes(np.full((48, 48, 4), 0.25 * i, np.float32))).save(folder / name / f"{i:03d}.png")


def test_renders_are_kept_for_what_they_show(tmp_path):
    folder = tmp_path / "torus"
    _write(folder)
    assert not is_rendered(folder)
    with pytest.raises(InvalidInput, match="not rendered as studio, sunset"):
        load_scene(folder)
    _pretend(folder)
    _write(folder)
    assert is_rendered(folder)
    _write(folder, samples=32)
    assert not is_rendered(folder)
    _pretend(folder)
    stale = np.load(folder / "sunset.npy")
    np.save(folder / "sunset.npy", stale * np.float32(2))
    _write(folder, samples=32)
    assert (folder / "studio").is_dir()
    assert not (folder / "sunset").exists()


@pytest.mark.blender
@pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs the bpy module")
def test_the_path_tracer_sees_what_the_geometry_says(tmp_path):
    """Cameras, textures and the way that light comes from are those of our own shading; shadows and gloss differ."""
    folder = tmp_path / "torus"
    side = light_named("neon")  # magenta from the left, cyan from the right
    write_scene(folder, [Thing(torus())], {"neon": Shot(side)}, size=48, views=2, samples=16)
    asked = json.loads((folder / "scene.json").read_text())
    subprocess.run([sys.executable, SCRIPT, "render", folder], check=True, capture_output=True)
    assert is_rendered(folder)
    subprocess.run([sys.executable, SCRIPT, "render", folder], check=True, capture_output=True)  # leaves them alone
    assert asked["renders"][0]["folder"] == "neon"
    scene = load_scene(folder)
    assert scene.mask.sum() > 0.6 * scene.geometry.mask.sum()
    own = side.irradiance(scene.geometry.normal)[scene.mask]
    seen = scene.views["neon"][scene.mask]
    tint = [np.log(rgb[:, 0] + 0.02) - np.log(rgb[:, 1] + 0.02) for rgb in (own, seen)]
    assert np.corrcoef(*tint)[0, 1] > 0.5  # mirrored or turned light would be uncorrelated, or opposite
