"""Objects seen by cameras all around, under several lights or in several places: what edits are measured against.

A scene lies in a folder: mesh.obj … with their pictures, transforms.json, scene.json (what to render) and a folder of
views for each shot, all of them readable by other programs. `write_scene` writes what a path tracer needs, which
`scripts/render_relighting.py` is; `load_scene` reads everything back. `shaded_scene` needs no path tracer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from weft.benchmarks.torus import torus
from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object
from weft.geometry.colour import encoded
from weft.geometry.environment import Environment
from weft.geometry.mesh import Mesh
from weft.geometry.unwrap import unwrap
from weft.io.files import write_file
from weft.io.meshes import load_meshes, save_textured
from weft.io.textures import load_texture
from weft.io.transforms import load_cameras
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, build_space, rasterize_views
from weft.spaces.surface import Surface, build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh

__all__ = [
    "LitScene", "Shot", "Thing", "is_rendered", "load_scene", "paint", "reflectances", "shaded_scene", "texture_beside",
    "write_scene",
]  # fmt: skip

BACKGROUND = 0.5  # sRGB
TEXTURE = 512  # px
ROUGHNESS = 0.6
ELEVATIONS = (20.0, -10.0)  # of the views, alternately, degrees
STEEP = (55.0, 40.0)  # for a lying torus, of which flat views share little
# Linear reflectances of the paint: four hues, none near black, as black tells nothing about light.
PALETTE = np.array([(0.55, 0.16, 0.08), (0.10, 0.22, 0.50), (0.60, 0.50, 0.28), (0.16, 0.38, 0.18)])


@dataclass(frozen=True, eq=False)
class LitScene:
    """One scene in all its shots. Views f4 [N, H, W, 3], sRGB in [0, 1], over mid-grey, and lights by the shot's name;
    the geometry is that of objects that are where their files have them."""

    name: str
    space: MeshTextureSpace
    geometry: ViewGeometry
    views: dict[str, np.ndarray]
    lights: dict[str, Environment]
    mask: np.ndarray  # bool [N, H, W]: pixels that lie wholly on objects in every shot
    shadows: bool  # whether objects shade themselves


@dataclass(frozen=True, eq=False)
class Thing:
    """An object; without a texture (f4 [h, w, 3], sRGB) it is painted, without UVs unwrapped."""

    mesh: Mesh
    texture: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """What is rendered: all objects under a light, the last one moved."""

    light: Environment
    moved: np.ndarray | None = None  # f8 [4, 4], in the world


def ring(points: np.ndarray, views: int, size: int, elevations: tuple[float, float] = ELEVATIONS) -> list[Camera]:
    """`views` cameras all around what has these `points` [n, 3], of `size`² pixels."""
    return frame_object(points, [(360.0 * i / views, elevations[i % 2]) for i in range(views)], size)


def paint(surface: Surface, seed: int = 0) -> np.ndarray:
    """Reflectances f4 [cells, 3] of a surface."""
    return reflectances((surface.position - surface.position.mean(0)) / surface.radius(), seed)


def reflectances(at: np.ndarray, seed: int, grain: float = 0.06) -> np.ndarray:
    """Linear f4 [n, 3] at positions [n, 3] about the unit sphere: large patches of four colours with soft borders, and
    a fine `grain` over them."""
    random = np.random.default_rng(seed)

    def waves(count: int, frequency: float) -> np.ndarray:
        """[n, count], sums of six plane waves of about that many radians a unit."""
        wave = random.normal(size=(3, 6 * count)) * frequency
        return np.cos(at @ wave + random.uniform(0, 2 * np.pi, 6 * count)).reshape(len(at), count, 6).sum(-1)

    patches = np.exp(3 * waves(len(PALETTE), 4.0))
    linear = patches / patches.sum(1, keepdims=True) @ PALETTE
    linear *= 1 + grain * waves(1, 25.0)
    return linear.clip(0.02, 0.9).astype(np.float32)


def texture_beside(mesh: Path) -> np.ndarray | None:
    """f4 [H, W, 3] in [0, 1], the PNG of the mesh's name in its folder."""
    picture = mesh.with_suffix(".png")
    return load_texture(picture).astype(np.float32) / 255 if picture.is_file() else None


def write_scene(
    folder: Path, things: Sequence[Thing], shots: Mapping[str, Shot], *, size: int, views: int, samples: int
) -> None:
    """Lay out a scene for the path tracer; cameras see all of it in every shot. What was rendered otherwise before is
    thrown away, what was rendered like this stays."""
    names = ["mesh.obj", *(f"mesh{i}.obj" for i in range(1, len(things)))]
    asked = {
        "size": size, "views": views, "samples": samples, "roughness": ROUGHNESS,
        "renders": [
            {"folder": name, "light": f"{name}.npy", "objects": _placed(names, shot)} for name, shot in shots.items()
        ],
    }  # fmt: skip
    _forget_others(folder, asked, shots)
    for name, thing in zip(names, things, strict=True):
        save_textured(folder / name, *_textured(thing))
    points = [thing.mesh.vertices[np.unique(thing.mesh.faces)] for thing in things]
    last = np.concatenate([points[-1], np.ones((len(points[-1]), 1))], 1)
    points += [(last @ shot.moved.T)[:, :3] for shot in shots.values() if shot.moved is not None]
    cameras = ring(np.concatenate(points).astype(np.float32), views, size)
    write_file(folder / "transforms.json", json.dumps(_transforms(cameras)).encode())
    for name, shot in shots.items():
        np.save(folder / f"{name}.npy", shot.light.radiance)
    write_file(folder / "scene.json", json.dumps(asked, indent=1).encode())


def _placed(names: Sequence[str], shot: Shot) -> list[dict[str, Any]]:
    still = [np.eye(4)] * (len(names) - 1)
    places = [*still, np.eye(4) if shot.moved is None else shot.moved]
    return [{"mesh": name, "matrix": place.tolist()} for name, place in zip(names, places, strict=True)]


def _textured(thing: Thing) -> tuple[list[Mesh], list[np.ndarray]]:
    mesh = thing.mesh if thing.mesh.corner_uv is not None else unwrap(thing.mesh, TEXTURE)
    if thing.texture is not None:
        return [mesh], [thing.texture]
    surface = build_surface([mesh], TEXTURE)
    return [mesh], [surface.image(encoded(paint(surface)), 0)]


def _forget_others(folder: Path, asked: dict[str, Any], shots: Mapping[str, Shot]) -> None:
    """Remove renders that do not answer what is asked."""
    try:
        before = json.loads((folder / "scene.json").read_text())
    except (OSError, ValueError):
        before = {"renders": []}
    same = all(before.get(key) == asked[key] for key in ("size", "views", "samples", "roughness"))
    for render in asked["renders"]:
        name, old = render["folder"], folder / render["light"]
        lit = old.is_file() and _alike(np.load(old), shots[name].light.radiance)
        if not (same and lit and render in before["renders"]):
            shutil.rmtree(folder / name, ignore_errors=True)


def _alike(light: np.ndarray, other: np.ndarray) -> bool:
    """Up to rounding, which differs between machines."""
    return light.shape == other.shape and np.allclose(light, other, rtol=1e-4, atol=0)


def _transforms(cameras: Sequence[Camera]) -> dict[str, Any]:
    """Pinholes as transforms.json has them; all have one lens, each its own principal point."""
    frames = [
        {
            "file_path": f"{i:03d}.png", "transform_matrix": c.pose.tolist(), "w": c.width, "h": c.height,
            "fl_x": c.fx, "fl_y": c.fy, "cx": c.cx, "cy": c.cy,
        }
        for i, c in enumerate(cameras)
    ]  # fmt: skip
    return {"camera_model": "PINHOLE", "frames": frames}


def is_rendered(folder: Path) -> bool:
    """Whether every view of every shot is there."""
    return not _missing(folder)


def _missing(folder: Path) -> list[str]:
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    names = [render["folder"] for render in _renders(folder)]
    return [name for name in names if not all((folder / name / frame["file_path"]).is_file() for frame in frames)]


def _renders(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "scene.json").read_text())["renders"]


def load_scene(folder: Path) -> LitScene:
    """A scene with all its shots. Raises `InvalidInput` if some are not rendered."""
    missing = _missing(folder)
    if missing:
        raise InvalidInput(f"{folder.name} is not rendered as {', '.join(missing)}", "render it again")
    renders = _renders(folder)
    names = [render["folder"] for render in renders]
    cameras = load_cameras(folder / "transforms.json").cameras
    space = _space_of([load_meshes(folder / thing["mesh"])[0] for thing in renders[0]["objects"]], cameras)
    views, solid = {}, space.views.mask
    for name in names:
        pictures = np.stack([_picture(folder / name / f"{i:03d}.png") for i in range(len(cameras))])
        alpha = pictures[..., 3:]
        views[name] = pictures[..., :3] * alpha + np.float32(BACKGROUND) * (1 - alpha)
        solid = solid & (alpha[..., 0] > 0.999)
    lights = {name: Environment(np.load(folder / f"{name}.npy"), name) for name in names}
    return LitScene(folder.name, space, of_mesh(space), views, lights, solid, True)


def _picture(path: Path) -> np.ndarray:
    """f4 [H, W, 4] in [0, 1]."""
    return np.asarray(Image.open(path).convert("RGBA"), np.float32) / 255


def _space_of(meshes: Sequence[Mesh], cameras: Sequence[Camera]) -> MeshTextureSpace:
    surface = build_surface(meshes, TEXTURE)
    return build_space(surface, rasterize_views(surface, cameras, jump=0.08 * surface.radius()), Trust())


def shaded_scene(lights: Mapping[str, Environment], *, size: int, views: int) -> LitScene:
    """A painted torus, matt and without shadows: reflectance times `irradiance`."""
    mesh = torus()
    space = _space_of([mesh], ring(mesh.vertices, views, size, STEEP))
    geometry, cells = of_mesh(space), paint(space.surface)
    reflectance = space.projection.product(torch.from_numpy(cells)).numpy().reshape(geometry.normal.shape)
    shown = {}
    for name, light in lights.items():
        colour = encoded(reflectance * light.irradiance(geometry.normal))
        shown[name] = np.where(geometry.mask[..., None], colour, BACKGROUND).astype(np.float32)
    return LitScene(mesh.name, space, geometry, shown, dict(lights), geometry.mask, False)
