"""One view of splats, drawn so that gradients of its pixels lead back to every parameter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera
from weft.scenes.splat_projection import BLUR, project, unproject
from weft.scenes.splat_raster import TILE, backward, binned, composite, gathered
from weft.scenes.splat_shading import shade, unshade

__all__ = ["Drawing", "draw", "parameter_gradients"]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A view, and what it takes to go back. N splats, E entries of tiles; arrays have the parameters' dtype."""

    image: np.ndarray  # [H, W, 3]
    transmittance: np.ndarray  # [H, W]
    depth: np.ndarray  # [H, W], Σ w·depth, not divided by the opacity
    parameters: np.ndarray  # [N, 11 + 3 K], `splat_projection`
    view: tuple[np.ndarray, np.ndarray, np.ndarray]  # f8: to (right, down, depth) [3, 4]; fx fy cx cy; the eye [3]
    drawn: np.ndarray  # [N, 6]
    boxes: np.ndarray  # i4 [N, 4]
    colors: np.ndarray  # [N, 3]
    tiles: tuple[np.ndarray, np.ndarray]  # starts i8 [tiles + 1], splats i4 [E]


def draw(
    parameters: np.ndarray, camera: Camera, background: np.ndarray, near: float = 0.0, blur: float = BLUR
) -> Drawing:
    """What `camera` sees of splats `parameters` [N, 11 + 3 K] over `background` [3]; nothing nearer than its own near
    plane or `near`. `blur` in px² is added to every footprint's variance. Raises InvalidCamera for an orthographic
    camera."""
    if camera.orthographic:
        raise InvalidCamera("the camera is orthographic, expected a perspective one", "scenes are seen by pinholes")
    count, dtype = len(parameters), parameters.dtype
    matrix = camera.view_matrix * np.array([[1.0], [-1.0], [1.0]])
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float64)
    drawn, boxes = np.empty((count, 6), dtype), np.empty((count, 4), np.int32)
    depths, colors = np.empty(count, dtype), np.empty((count, 3), dtype)
    nearest = float(max(near, camera.near))
    project(parameters, matrix, lens, camera.width, camera.height, nearest, blur, drawn, boxes, depths)
    eye = np.ascontiguousarray(camera.center)
    shade(parameters, eye, boxes, colors)
    shown = np.flatnonzero(boxes[:, 0] <= boxes[:, 1])
    order = shown[np.argsort(depths[shown], kind="stable")]
    tiles = binned(order, boxes, -(-camera.width // TILE), -(-camera.height // TILE))
    image = np.empty((camera.height, camera.width, 3), dtype)
    through, depth = np.empty(image.shape[:2], dtype), np.empty(image.shape[:2], dtype)
    composite(*tiles, drawn, boxes, colors, depths, background.astype(dtype), image, through, depth)
    return Drawing(image, through, depth, parameters, (matrix, lens, eye), drawn, boxes, colors, tiles)


def parameter_gradients(drawing: Drawing, wanted: np.ndarray, *, geometry: bool = True) -> np.ndarray:
    """∂L/∂parameters [N, 11 + 3 K] from ∂L/∂image, `wanted` [H, W, 3]; without `geometry` of the harmonics alone."""
    parameters, (matrix, lens, eye) = drawing.parameters, drawing.view
    height, width = drawing.transmittance.shape
    entries = np.empty((len(drawing.tiles[1]), 9), parameters.dtype)
    wanted = np.ascontiguousarray(wanted, parameters.dtype)
    backward(*drawing.tiles, drawing.drawn, drawing.boxes, drawing.colors, drawing.image, wanted, entries)
    on_screen = gathered(drawing.tiles[1], entries, len(parameters))
    gradients = np.zeros_like(parameters)
    unshade(parameters, eye, drawing.boxes, drawing.colors, on_screen, gradients)
    if geometry:
        unproject(parameters, matrix, lens, width, height, drawing.drawn, drawing.boxes, on_screen, gradients)
    return gradients
