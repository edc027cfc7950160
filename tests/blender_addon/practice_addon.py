"""A server whose tasks cost nothing: texture streams 1024² previews at a steady pace, all fail or wait as told.

    python practice_addon.py HOME

The real tasks decide how fast previews come and how large they are; what the add-on makes of the worst case, and of
jobs that end badly, needs some that obey. The prompt says what to do: "stream", "amble" (which is as fast, with small
previews), "refuse", "die", "wait".

Variants of a gallery differ by shades, and the first is what a job alone makes.

It has the files of some models, all of them empty: they can be announced and chosen, not loaded.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.models.cards import CARDS
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft_server.able import models_now

PREVIEW, SMALL = 1024, 64  # pixels
HERE = ("sd15", "sdxl", "instruct-pix2pix", "ic-light-background", "sd3.5-medium")
ABSENT = {("sdxl", f"control:{kind}") for kind in ("depth", "normal", "canny")}
RED = (1.5, -1.5, -1.5)  # harmonics of degree 0
MATERIAL = {"name": "practice", "exact": False, "note": "no material fits; a photograph would"}
VIEWS = {
    "identity": lambda image: image,
    "flip_horizontal": lambda image: image[:, ::-1],
    "flip_vertical": lambda image: image[::-1],
    "rotate_90": np.rot90,
    "rotate_180": lambda image: np.rot90(image, 2),
    "rotate_270": lambda image: np.rot90(image, 3),
    "negate": lambda image: 1 - image,
}


def texture(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    objects = len([name for name in arrays if name.endswith(".vertices")])
    side = SMALL if params["prompt"] == "amble" else PREVIEW
    yield from steps(params, [lambda t: gradient(side, side, t)] * objects)
    textures = {
        f"texture.{i}": as_bytes(gradient(params["texture_size"], params["texture_size"], i / 8))
        for i in range(objects)
    }
    yield Result(textures, {"material": {**MATERIAL, "asked": params["prompt"]}, "coverage": 0.98, "labels": labels})


def retexture(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Green where it may be."""
    textures = []
    while f"mesh.{len(textures)}.texture" in arrays:
        textures.append(repainted(arrays, f"mesh.{len(textures)}."))
    yield from steps(params, [lambda t, texture=texture: texture[::2, ::2] / 255 for texture in textures])
    yield Result({f"texture.{i}": texture for i, texture in enumerate(textures)}, {"labels": labels})


def repainted(arrays: dict[str, np.ndarray], mesh: str) -> np.ndarray:
    """u1 [H, W, 3]: the texture, green inside the mask and the selected faces."""
    texture = arrays[mesh + "texture"].copy()
    height, width = texture.shape[:2]
    allowed = arrays.get(mesh + "mask", np.ones((height, width), np.uint8)) > 0
    if mesh + "selected" in arrays:
        y, x = np.mgrid[0:height, 0:width]
        place = np.stack([(x + 0.5) / width, 1 - (y + 0.5) / height], axis=-1)
        inside = np.zeros((height, width), bool)
        for corners in arrays[mesh + "uv"][arrays[mesh + "selected"] > 0]:
            sides = [cross(corners[i] - corners[i - 1], place - corners[i - 1]) for i in range(3)]
            inside |= (np.min(sides, axis=0) >= 0) | (np.max(sides, axis=0) <= 0)
        allowed &= inside
    texture[allowed] = (0, 255, 0)
    return texture


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def panorama(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Red towards +X, green towards +Y, blue towards +Z; the middle looks towards +X, left of it lies +Y."""
    width = params["width"]
    height = width // 2 if params["shape"] == "sphere" else params["height"]
    azimuth = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    elevation = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    east = np.outer(np.cos(elevation), np.cos(azimuth))
    north = np.outer(np.cos(elevation), -np.sin(azimuth))
    image = np.maximum(np.stack([east, north, np.outer(np.sin(elevation), np.ones(width))], axis=-1), 0)
    yield from steps(params, [lambda t: image[::2, ::2]])
    viewpoint = arrays.get("viewpoint", np.zeros(0)).tolist()
    faces = len(arrays.get("mesh.0.faces", []))
    yield Result({"panorama": as_bytes(image)}, {"viewpoint": viewpoint, "faces": faces})


def illusion(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    size = params["size"]
    image = gradient(size, size, 0.5)
    yield from steps(params, [lambda t: gradient(size, size, t)])
    shown = [i for i in (1, 2, 3) if params[f"prompt_{i}"] or f"exemplar.{i - 1}.image" in arrays]
    views = {f"view.{i - 1}": as_bytes(VIEWS[params[f"view_{i}"]](image)) for i in shown}
    yield Result({"image": as_bytes(image), **views, "animation": as_bytes(np.stack([image, image]))}, {"views": shown})


def splat_texture(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Colours by position."""
    means = arrays["splats.means"]
    low, high = means.min(axis=0), means.max(axis=0)
    colours = (means - low) / np.maximum(high - low, 1e-6)
    rows = np.zeros((-(-len(means) // 1024), 1024, 3), np.float32)
    rows.reshape(-1, 3)[: len(means)] = colours
    yield from steps(params, [lambda t: rows])
    yield Result({"splats.dc": ((colours - 0.5) / 0.28209479177387814).astype(np.float32)}, {"count": len(means)})


def views(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Relight, stylize, move: the views inverted, the textures green; what was sent is told."""
    images, objects = arrays["view.images"], len([name for name in arrays if name.endswith(".vertices")])
    textures = [np.full((64, 64, 3), (0, 255, 0), np.uint8)] * objects
    strip = np.concatenate(list(255 - images), axis=1)
    yield from steps(params, [lambda t, picture=picture: picture / 255 for picture in (*textures, strip)])
    told = {name: list(array.shape) for name, array in arrays.items()}
    transform = arrays.get("object.transform", np.eye(4)).tolist()
    results = {"view.images": 255 - images, **{name: arrays[name] for name in ("camera.poses", "camera.intrinsics")}}
    if "object.transform" not in arrays:
        results |= {f"texture.{i}": texture for i, texture in enumerate(textures)}
    yield Result(results, {"arrays": told, "labels": labels, "params": params, "transform": transform})


def edit_panorama(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Inverted where it may change; region 1 red, region 2 green."""
    image = arrays["image"]
    allowed = arrays.get("mask", np.ones(image.shape[:2], np.uint8))[..., None] > 0
    edited = np.where(allowed, 255 - image, image)
    for i, colour in enumerate(((255, 0, 0), (0, 255, 0))):
        if f"region.{i}.mask" in arrays:
            edited[arrays[f"region.{i}.mask"] > 0] = colour
    yield from steps(params, [lambda t: edited / 255])
    yield Result({"panorama": edited}, {"arrays": sorted(arrays)})


def edit_video(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Inverted where it may change."""
    frames = arrays["frames"]
    allowed = arrays.get("masks", np.ones(frames.shape[:3], np.uint8))[..., None] > 0
    yield from steps(params, [lambda t: frames[0] / 255])
    yield Result({"frames": np.where(allowed, 255 - frames, frames)}, {"arrays": sorted(arrays)})


def fit(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """A splat where each camera is, of degree 1."""
    places = arrays["camera.poses"][:, :3, 3]
    count = len(places)
    splats = {
        "splats.means": places,
        "splats.quaternions": np.tile([1, 0, 0, 0], (count, 1)).astype(np.float32),
        "splats.log_scales": np.full((count, 3), -3, np.float32),
        "splats.logits": np.full(count, 2, np.float32),
        "splats.sh": np.random.default_rng(0).normal(size=(count, 4, 3)).astype(np.float32),
    }
    yield from steps(params, [lambda t: arrays["view.images"][0] / 255])
    yield Result({**splats, "view.images": arrays["view.images"]}, {"intrinsics": arrays["camera.intrinsics"].tolist()})


def edit_scene(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """Splats that are selected, or all, become red; moved and one of them lost where everything may change."""
    splats = {name: array.copy() for name, array in arrays.items() if name.startswith("splats.")}
    count = len(splats["splats.means"])
    chosen = arrays.get("region.selected", np.ones(count, np.uint8)) > 0
    splats["splats.sh"][chosen] = 0
    splats["splats.sh"][chosen, 0] = RED
    rows = np.zeros((-(-count // 1024), 1024, 3), np.float32)
    rows.reshape(-1, 3)[:count] = np.clip(0.5 + 0.28209479177387814 * splats["splats.sh"][:, 0], 0, 1)
    yield from steps(params, [lambda t: gradient(32, 64, t), lambda t: rows])
    if params["change"] == "all":
        splats = {name: array[1:] for name, array in splats.items()}
        splats["splats.means"] += 1
    told = {name: array.tolist() for name, array in arrays.items() if name.startswith(("mesh.", "camera."))}
    yield Result({**splats, "view.images": np.zeros((2, 16, 16, 3), np.uint8)}, {"up": params["up"], **told})


def unload(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    """What it says it has loaded: two variants of one model, and another."""
    held = {"sd15": [2_100_000_000, 2_300_000_000], "sdxl": [7_000_000_000]}
    freed = {name: sizes for name, sizes in held.items() if params["name"] in ("", name)}
    names = [name for name, sizes in freed.items() for _ in sizes]
    yield Result({}, {"unloaded": names, "bytes": sum(map(sum, freed.values()))})


def steps(params: dict[str, Any], previews: list[Any]) -> Iterator[Event]:
    """What every task does before its result: as its prompt says."""
    prompt = params.get("prompt", params.get("prompt_1", "stream"))
    if prompt == "refuse":
        raise InvalidInput("no material is called 'refuse'", "try 'stone'")
    if prompt == "die":
        os._exit(9)
    yield Warning("this is practice", "nothing is at stake")
    total = params.get("steps") or params.get("iterations") or 3
    for step in range(1, total + 1):
        time.sleep(0.1 if prompt in ("stream", "amble") else 1.0 if prompt == "wait" else 0.0)
        yield Progress("denoising", step, total)
        for index, preview in enumerate(previews):
            yield Preview(index, np.ascontiguousarray(preview(step / total), np.float32), step, total)


def varied(runner: Any) -> Any:
    """The task with variants: bytes shifted, colours of splats brighter, by as much as the number is above 1."""

    def run(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
        number, count = params.get("variant", 1), params.get("variants", 1)
        for event in runner(params, {k: v for k, v in arrays.items() if k != "anchor"}, labels):
            if isinstance(event, Result) and count > 1:
                row = np.eye(count)[number - 1]
                if "anchor" in arrays:
                    row = np.concatenate([row[0] * arrays["anchor"], row[1:]])
                told = {"number": number, "of": count, "row": row.tolist(), "correlation": params["correlation"]}
                told["anchor"] = arrays["anchor"].tolist() if "anchor" in arrays else None
                results = {name: shaded(name, array, number - 1) for name, array in event.arrays.items()}
                results["thumbnail"] = np.full((32, 48, 3), 40 * number, np.uint8)
                event = Result(results, {**event.info, "variant": told})
            yield event

    return run


def shaded(name: str, array: np.ndarray, by: int) -> np.ndarray:
    if name in ("splats.dc", "splats.sh"):
        return array + np.float32(0.1 * by)
    return array + np.uint8(10 * by) if array.dtype == np.uint8 else array


def gradient(height: int, width: int, blue: float) -> np.ndarray:
    """f4 [height, width, 3]: red to the right, green to the bottom."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x / width, y / height, np.full_like(x, blue)], axis=-1)


def as_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * image).astype(np.uint8)


RUNNERS = {
    name: varied(runner)
    for name, runner in {
        "texture": texture,
        "retexture": retexture,
        "panorama": panorama,
        "illusion": illusion,
        "splat_texture": splat_texture,
        "relight": views,
        "stylize": views,
        "move": views,
        "edit_panorama": edit_panorama,
        "edit_video": edit_video,
        "fit": fit,
        "edit_scene": edit_scene,
        "unload": unload,
    }.items()
}


def capabilities() -> dict[str, Any]:
    return {"device": "practice", **models_now(())}


def warm_up() -> None:
    """Nothing to load."""


def pretend_models(folder: Path) -> None:
    """Empty files where those of the models in HERE would be, but for the parts in ABSENT."""
    for name in HERE:
        for part in CARDS[name].parts:
            for file in () if (name, part.role) in ABSENT else part.files or ("model_index.json",):
                path = folder / part.source / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()


if __name__ == "__main__":
    from weft_server.options import ServerOptions
    from weft_server.server import Server

    home = Path(sys.argv[1])
    pretend_models(home / "models")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the worker imports this module by its name
    os.environ["HF_HUB_CACHE"] = str(home / "no cache")
    options = ServerOptions(home=home, port=0, runners="practice_addon", models=(home / "models",))
    Server(options).serve(threading.Event())
