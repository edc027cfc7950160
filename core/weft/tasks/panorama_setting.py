"""Where a panorama is painted: its shape, its cells and views, and the scene that it shows, if any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from weft.errors import InvalidInput
from weft.geometry.mesh import Mesh, check_mesh
from weft.io.depth import check_distances
from weft.spaces.panorama import PanoramaSpace, cell_directions
from weft.spaces.wide_image import WideImageSpace
from weft.tasks.panorama_scene import Scene, blurred, light_scene, scene_distances

__all__ = ["SHAPES", "Setting", "build_setting", "check_window", "fitted", "largest_window"]

SHAPES = ("sphere", "wide")
UNIT = 16  # pixels: sides are rounded up to it
LARGEST_FINE = 1536  # px wide: up to here pictures are lit, and spheres painted, at twice their size
_ASPECT = 0.02  # by which a depth map's aspect may differ from the panorama's
_OVERLAP = 2  # windows over each pixel of a wide image, along each axis
_STEP = 0.02  # relative step of a depth map's neighbours up to which it may be a rounding
_SMOOTHING = 0.004  # of a map's height


@dataclass(frozen=True, eq=False)
class Setting:
    """Shape and cells of the panorama, and what surrounds the viewer."""

    shape: str
    width: int  # px of the result
    height: int
    window: int
    wrap: bool  # the left border meets the right one
    scene: Scene | None = None  # [f·H, f·W]

    @property
    def fine(self) -> int:
        """How many times finer than the result it is lit."""
        return 2 if self.width <= LARGEST_FINE else 1

    @cached_property
    def space(self) -> PanoramaSpace | WideImageSpace:
        if self.shape == "sphere":
            return PanoramaSpace(self.height * self.fine, self.window)
        return WideImageSpace(self.height, self.width, self.window, self.window // _OVERLAP, self.wrap)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        finer = self.fine if self.shape == "sphere" else 1
        return self.height * finer, self.width * finer

    @property
    def directions(self) -> np.ndarray:
        """f4 [rows, columns, 3]: where each cell looks. Times the scene's distance it is the place that the cell sees.
        Its length is 1, or, where a depth map is that of one perspective view, 1 along that view's axis."""
        rows, columns = self.grid
        if self.shape == "wide" and not self.wrap:
            return _pinhole(rows, columns)
        sphere = cell_directions(columns // 2)
        first = (len(sphere) - rows) // 2
        return sphere[first : first + rows]

    @property
    def cell_scene(self) -> Scene | None:
        """The scene, one value a cell."""
        step = 1 if self.shape == "sphere" else self.fine
        return None if self.scene is None else self.scene.thinned(step)


def build_setting(
    shape: str,
    width: int,
    height: int,
    window: int,
    *,
    depth: np.ndarray | None,
    meshes: Sequence[Mesh],
    viewpoint: np.ndarray | None,
) -> Setting:
    """Sides rounded up to what can be computed; raises WeftError for what does not fit together.

    A sphere's scene is seen from `viewpoint` [3] (default: the middle of the meshes' bounding box), a wide image's is
    the middle band of it; depth maps of wide images are taken for those of a camera as far away as they are wide.
    """
    if shape not in SHAPES:
        raise InvalidInput(f"no panorama has the shape {shape!r}", f"choose one of {', '.join(SHAPES)}")
    if min(width, height, window) < 1:
        raise InvalidInput(f"a size of {width}×{height} px with windows of {window} px", "give positive sizes")
    if depth is not None and meshes:
        raise InvalidInput("the job has both a depth map and meshes", "give one of them")
    check_window(shape, width, height, window)
    width, height, window = _rounded(shape, width, height, window)
    blank = Setting(shape, width, height, window, wrap=shape == "sphere" or depth is None)
    if depth is not None:
        return Setting(shape, width, height, window, blank.wrap, _scene_of_map(depth, blank))
    if meshes:
        return Setting(shape, width, height, window, blank.wrap, _scene_of_meshes(meshes, viewpoint, blank))
    return blank


def largest_window(shape: str, width: int, height: int) -> int:
    """px that a window may have."""
    return _rounded(shape, width, height, 1)[1]


def check_window(shape: str, width: int, height: int, window: int) -> None:
    """Raise for a window that is larger than the panorama."""
    width, height, window = _rounded(shape, width, height, window)
    if window > height:
        raise InvalidInput(
            f"a window of {window} px does not fit a panorama of {width}×{height} px",
            f"use a window of at most {height} px or a larger panorama",
        )


def _rounded(shape: str, width: int, height: int, window: int) -> tuple[int, int, int]:
    unit = 2 * UNIT if shape == "sphere" else UNIT
    width = -(-width // unit) * unit
    height = width // 2 if shape == "sphere" else -(-height // UNIT) * UNIT
    return width, height, -(-window // UNIT) * UNIT


def _scene_of_map(depth: np.ndarray, setting: Setting) -> Scene:
    """A scene at the setting's resolution from distances at their own."""
    depth = check_distances(depth)
    rows, columns = depth.shape
    aspect = setting.width / setting.height
    if abs(columns / rows / aspect - 1) > _ASPECT:
        wanted = "2:1, as a sphere is" if setting.shape == "sphere" else f"{setting.width}:{setting.height}, as asked"
        raise InvalidInput(
            f"the depth map is {columns}×{rows} px, expected the aspect {wanted}", "crop or render it so"
        )
    sphere = setting.shape == "sphere"
    shape = (setting.height * setting.fine, setting.width * setting.fine)
    if rows > shape[0]:
        depth = depth[np.ix_(_nearest(rows, shape[0]), _nearest(columns, shape[1]))]
    depth = _smoothed(depth, setting.wrap)
    # A sphere's map may be a row off 2:1: the directions are those of a true one.
    even = depth[:, _nearest(depth.shape[1], 2 * len(depth))] if sphere else depth
    directions = cell_directions(len(even)) if sphere else _pinhole(*even.shape)
    scene = light_scene(even, directions, sphere=sphere, wrap=setting.wrap)
    sky = fitted(scene.sky[..., None].astype(np.float32), shape)[..., 0] > 0.5
    parts = (scene.elevation, scene.distance, scene.light, scene.crease, scene.haze)
    return Scene(sky, *(fitted(part[..., None], shape)[..., 0] for part in parts))


def _nearest(size: int, wanted: int) -> np.ndarray:
    return ((np.arange(wanted) + 0.5) * size / wanted).astype(np.int64)


def _smoothed(depth: np.ndarray, wrap: bool) -> np.ndarray:
    """Without the terraces of maps with few levels: a blur wherever it changes little."""
    solid = np.isfinite(depth)
    filled = np.where(solid, depth, depth[solid].max())
    smooth = blurred(filled, max(1.0, _SMOOTHING * len(depth)), wrap)
    return np.where(solid & (np.abs(smooth - filled) < _STEP * filled), smooth, depth)


def _pinhole(height: int, width: int) -> np.ndarray:
    """f4 [H, W, 3]: rays of length 1 along the axis, +X, of a camera whose focal length is its image's width."""
    rows, columns = (np.arange(n) + 0.5 - n / 2 for n in (height, width))
    y, z = np.meshgrid(-columns / width, -rows / width)
    return np.stack([np.ones_like(y), y, z], -1).astype(np.float32)


def _scene_of_meshes(meshes: Sequence[Mesh], viewpoint: np.ndarray | None, setting: Setting) -> Scene:
    for mesh in meshes:
        check_mesh(mesh)
    if setting.height * 2 > setting.width:
        raise InvalidInput(
            f"a panorama of {setting.width}×{setting.height} px around a scene would reach beyond the zenith",
            "make it at least twice as wide as high",
        )
    if viewpoint is None:
        viewpoint = middle(meshes)
    viewpoint = np.asarray(viewpoint, np.float64)
    if viewpoint.shape != (3,) or not np.isfinite(viewpoint).all():
        raise InvalidInput(f"the viewpoint is {viewpoint.tolist()}", "expected three finite numbers")
    height = setting.width * setting.fine // 2
    distance = scene_distances(meshes, viewpoint, height)
    if not np.isfinite(distance).any():
        raise InvalidInput("nothing of the meshes can be seen from the viewpoint", "move it or the meshes")
    count = setting.height * setting.fine
    whole = light_scene(distance, cell_directions(height), sphere=True, wrap=True)
    return whole.rows((height - count) // 2, count)


def middle(meshes: Sequence[Mesh]) -> np.ndarray:
    """f8 [3], of the meshes' bounding box."""
    low = np.min([mesh.vertices[np.unique(mesh.faces)].min(0) for mesh in meshes], 0)
    high = np.max([mesh.vertices[np.unique(mesh.faces)].max(0) for mesh in meshes], 0)
    return (low.astype(np.float64) + high) / 2


def fitted(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """f4 [h, w, C] at another size: averaged down, bilinear up; itself at its own."""
    if image.shape[:2] == shape:
        return image
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    if shape[0] < image.shape[0]:
        scaled = functional.interpolate(planes, size=shape, mode="area")
    else:
        scaled = functional.interpolate(planes, size=shape, mode="bilinear", align_corners=False)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()
