"""What a gallery is looked at by: a picture of every variant from one side, their sheet, and how different they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from weft.geometry.camera import frame_object
from weft.geometry.mesh import Mesh
from weft.geometry.splat_weights import render_splats
from weft.geometry.splats import Splats
from weft.metrics.diversity import cosine_similarity, layout, pair_distances, vendi
from weft.spaces.surface import build_surface
from weft.tasks.rendering import render_surface
from weft.tasks.splat_views import core_points, turned_up
from weft.tasks.view_plan import used_vertices

__all__ = ["differences", "gallery_sheet", "picture_of_meshes", "picture_of_splats"]

SIDE = 384  # px of a picture of objects
FRONT = (-25.0, 18.0)  # azimuth and elevation, degrees: a little from the side and from above
_TEXELS = 64  # of a surface that is only looked at
_ACROSS = 4  # square pictures in a row of the sheet
_WIDTH = 1280  # px of the sheet
_LABEL, _MARGIN = 22, 4  # px above a picture, and around it
_BACKGROUND = 0.93
_SAME = 1.5 / 255  # up to which two pixels are one


def picture_of_meshes(meshes: Sequence[Mesh], textures: Sequence[np.ndarray]) -> np.ndarray:
    """f4 [SIDE, SIDE, 3] in [0, 1]: meshes with UVs in their textures f4 [H, W, 3], softly shaded."""
    surface = build_surface(meshes, _TEXELS)
    (camera,) = frame_object(used_vertices(surface), [FRONT], SIDE)
    return render_surface(surface, [_square(each) for each in textures], camera, supersample=2, shaded=True)[0]


def picture_of_splats(splats: Splats, colors: np.ndarray, up: str) -> np.ndarray:
    """f4 [SIDE, SIDE, 3] in [0, 1]: splats in `colors` f4 [S, 3] in [0, 1]; `up` as in `splat_texture`."""
    (framed,) = frame_object(core_points(splats, up), [FRONT], SIDE)
    pose = np.eye(4)
    pose[:3, :3] = turned_up(up).T
    return render_splats(splats, replace(framed, pose=pose @ framed.pose), colors, _BACKGROUND)


def gallery_sheet(pictures: Sequence[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """f4 [H, W, 3]: the pictures f4 [h, w, 3] of one size in rows, under their labels; wide ones fill a row."""
    height, width = pictures[0].shape[:2]
    across = min(len(pictures), max(1, round(_ACROSS * height / width)))
    side = _WIDTH // across
    tiles = [_labelled(label, picture, side) for label, picture in zip(labels, pictures, strict=True)]
    tiles += [np.ones_like(tiles[0])] * (-len(tiles) % across)
    return np.concatenate([np.concatenate(tiles[i : i + across], 1) for i in range(0, len(tiles), across)])


def _labelled(label: str, picture: np.ndarray, side: int) -> np.ndarray:
    """f4 [h, side, 3]: the picture with a margin, as wide as fits, and its name above it."""
    scaled = (side - 2 * _MARGIN, round((side - 2 * _MARGIN) * picture.shape[0] / picture.shape[1]))
    tile = Image.new("RGB", (side, scaled[1] + _LABEL + _MARGIN), "white")
    whole = Image.fromarray((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    tile.paste(whole.resize(scaled, Image.Resampling.LANCZOS), (_MARGIN, _LABEL))
    ImageDraw.Draw(tile).text((_MARGIN + 2, 5), label, fill=(70, 70, 70))
    return np.asarray(tile, np.float32) / 255


def differences(pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of two or more pictures f4 [h, w, 3] of one size, where not all of them show the same, as behind an object:
    `pairwise_rms`, the mean RMS difference of two of them, and `vendi`, how many different ones there are by what lies
    where."""
    stack = np.stack(pictures)
    differ = (np.ptp(stack, axis=0) > _SAME).any(-1)
    if not differ.any():
        return {"pairwise_rms": 0.0, "vendi": 1.0}
    colour = stack[:, differ].mean((0, 1))
    shown = list(np.where(differ[..., None], stack, colour))
    distances = pair_distances(shown) / np.sqrt(differ.mean())
    alike = cosine_similarity(layout(shown, colour))
    return {"pairwise_rms": round(float(distances.mean()), 4), "vendi": round(vendi(alike), 3)}


def _square(texture: np.ndarray) -> np.ndarray:
    """The texture with sides of the larger one: the picture reads by UV, which does not mind."""
    height, width = texture.shape[:2]
    if height == width:
        return texture
    channels = [Image.fromarray(np.ascontiguousarray(texture[..., c])) for c in range(3)]
    side = max(height, width)
    return np.stack([np.asarray(channel.resize((side, side), Image.Resampling.BILINEAR)) for channel in channels], -1)
