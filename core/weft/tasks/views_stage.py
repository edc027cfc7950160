"""A job on views, made ready: pictures of the size that is worked on, what ties them, and where a bake goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.pose_checks import check_poses
from weft.geometry.splats import Splats, f_dc_of
from weft.geometry.stereo import estimate_depths
from weft.spaces.depth_points import depth_geometry
from weft.spaces.linear import LinearSpace
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.splat_geometry import splat_view_geometry
from weft.spaces.surface import Surface, build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh
from weft.tasks.canvas import build_canvas, fitted, nearest
from weft.tasks.events import Event, Progress, Warning
from weft.tasks.network import Network
from weft.tasks.painting import VIEW_UNIT, Clock, preview_stride, view_side
from weft.tasks.report import texture_of
from weft.tasks.unwrapped import with_uvs
from weft.tasks.view_plan import plan_cameras, space_of
from weft.tasks.views_prior import NetworkPrior
from weft.tasks.views_scene import ViewScene

__all__ = ["Stage", "fitted_views", "nearest_maps", "prepared", "working_side"]

EMPTY = 0.5  # [0, 1], what is drawn around objects: grey
LEAST_COVERED = 0.005  # of the pixels: a mesh that lies elsewhere, or in other units, still meets some
LEAST_SHARED = 0.2  # of the pixels: where fewer find each other again, views are not of one scene


@dataclass(frozen=True, eq=False)
class Stage:
    """`images` f4 [N, H, W, 3] in [0, 1] with their geometry; `mask` bool [N, H, W], what may change.

    Of cells [cells, 3] in [-1, 1] `baked` makes result arrays and `shown` a small texture for every mesh. `source` is
    what the geometry was made of, None for depth maps; `old` [cells, 3] in [-1, 1] are the colours of cells that
    textures gave, None where the views are what is known.
    """

    images: np.ndarray
    mask: np.ndarray
    geometry: ViewGeometry
    baked: Callable[[Tensor], dict[str, np.ndarray]]
    shown: Callable[[Tensor], list[np.ndarray]]
    source: MeshTextureSpace | Splats | None = None
    old: Tensor | None = None

    @property
    def surface(self) -> Surface | None:
        """Of meshes."""
        return self.source.surface if isinstance(self.source, MeshTextureSpace) else None

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return self.geometry.cameras

    def rows(self, images: np.ndarray) -> Tensor:
        """f4 [N, H, W, C] as the rows of a space, [N·H·W, C]."""
        return torch.from_numpy(np.ascontiguousarray(images)).reshape(-1, images.shape[-1])


def fitted_views(scene: ViewScene, side: int, unit: int) -> ViewScene:
    """The views with a longer side of at most `side` px, both multiples of `unit`; cameras follow."""
    assert scene.images is not None
    height, width = scene.images.shape[1:3]
    factor = min(1.0, side / max(height, width))
    rows, columns = (max(1, round(length * factor / unit)) * unit for length in (height, width))
    if (rows, columns) == (height, width):
        return scene
    cameras = [_stretched(camera, columns / width, rows / height) for camera in scene.cameras]
    masks = None if scene.masks is None else _resized(scene.masks[..., None], rows, columns)[..., 0] > 0.5
    return replace(
        scene,
        images=_resized(scene.images, rows, columns).clip(0, 1),
        cameras=cameras,
        masks=masks,
        depths=None if scene.depths is None else nearest_maps(scene.depths, rows, columns),
    )


def _stretched(camera: Camera, across: float, down: float) -> Camera:
    return replace(
        camera, width=round(camera.width * across), height=round(camera.height * down), fx=camera.fx * across,
        fy=camera.fy * down, cx=camera.cx * across, cy=camera.cy * down,
    )  # fmt: skip


def _resized(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """f4 [N, rows, columns, C], without aliases; one at a time, because many large ones fill the memory."""
    return np.stack([fitted(image.astype(np.float32, copy=False), (rows, columns)) for image in images])


def nearest_maps(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Maps [N, H, W] at another size: depths must not be averaged across an edge."""
    return np.stack([nearest(one, (rows, columns)) for one in maps])


def working_side(size: int, network: Network | None, prior: NetworkPrior | None = None) -> tuple[int, int]:
    """The longer side of the views that are worked on, px, and what divides both sides."""
    if network is None:
        return view_side(size), VIEW_UNIT
    unit = network.model.unit if prior is None else math.lcm(network.model.unit, prior.model.unit)
    return -(-network.view_size(size) // unit) * unit, unit


def prepared(
    scene: ViewScene, clock: Clock, *, side: int, unit: int, views: int, texture_size: int
) -> Generator[Event, None, Stage]:
    """Warnings and progress; returns the `Stage`. `scene` has passed `check_scene`; `side` and `unit` px are those of
    `working_side`; `views` and `texture_size` count where the scene leaves them open."""
    alone = scene.images is not None and not scene.meshes and scene.splats is None and scene.depths is None
    yield Progress("prepare", 1, 2, "finding depth in the views" if alone else "reading geometry")
    with clock.phase("geometry"):
        if scene.images is None:
            stage, warnings = _drawn(scene, side, views), []
        else:
            scene = fitted_views(scene, side, unit)
            make = _of_meshes if scene.meshes else _of_splats if scene.splats is not None else _of_depth
            stage, warnings = make(scene, texture_size)
    yield from warnings
    if not stage.geometry.mask.any():
        raise InvalidInput("no view shows anything of what was sent", "check the poses, and the frame of the geometry")
    if scene.images is not None and stage.source is not None and stage.geometry.mask.mean() < LEAST_COVERED:
        yield Warning(
            f"what was sent covers {stage.geometry.mask.mean():.2%} of the pixels: nearly nothing will change",
            "check that it lies in the frame of the poses, and its size",
        )
    if not stage.mask.any():
        raise InvalidInput("the masks leave nothing of the objects to change", "paint what may change white")
    yield Progress("prepare", 2, 2, "tying views")
    return stage


def _drawn(scene: ViewScene, side: int, views: int) -> Stage:
    """Views of textured meshes, unlit."""
    textures = [texture for texture in scene.textures if texture is not None]
    canvas = build_canvas(scene.meshes, textures, [None] * len(textures), [None] * len(textures))
    surface = canvas.surface
    wanted = "both" if scene.cameras else "automatic"
    cameras = plan_cameras(surface, size=side, count=views, cameras_from=wanted, scene=scene.cameras)
    space = space_of(surface, cameras)
    linear, z = space.linear(1.0), canvas.z()
    empty = torch.full((len(linear.covered), 3), EMPTY * 2 - 1)
    images = linear.views_of(linear.project(z, empty)).permute(0, 2, 3, 1).contiguous().numpy() / 2 + 0.5

    def baked(cells: Tensor) -> dict[str, np.ndarray]:
        return {f"texture.{i}": canvas.image(cells, i) for i in range(len(textures))}

    def shown(cells: Tensor) -> list[np.ndarray]:
        return [canvas.preview(cells, i) for i in range(len(textures))]

    return Stage(images.clip(0, 1), space.views.mask, of_mesh(space), baked, shown, space, z)


def _of_meshes(scene: ViewScene, texture_size: int) -> tuple[Stage, list[Warning]]:
    assert scene.images is not None
    meshes, made, warnings = with_uvs(scene.meshes, texture_size)
    surface = build_surface(meshes, texture_size)
    space = space_of(surface, scene.cameras)
    geometry = of_mesh(space)

    def baked(cells: Tensor) -> dict[str, np.ndarray]:
        textures = {f"texture.{i}": texture_of(surface, cells, i) for i in range(len(meshes))}
        return textures | {f"mesh.{i}.uv": uv for i, uv in made.items()}

    def shown(cells: Tensor) -> list[np.ndarray]:
        return [texture_of(surface, cells, i, preview_stride(texture_size)) for i in range(len(meshes))]

    return Stage(scene.images, _allowed(scene, geometry.mask), geometry, baked, shown, space), warnings


def _of_splats(scene: ViewScene, texture_size: int) -> tuple[Stage, list[Warning]]:
    assert scene.images is not None
    assert scene.splats is not None
    geometry = splat_view_geometry(scene.splats, scene.cameras)

    def baked(cells: Tensor) -> dict[str, np.ndarray]:
        return {"splats.dc": f_dc_of(cells.numpy() * np.float32(0.5) + np.float32(0.5))}

    return Stage(scene.images, _allowed(scene, geometry.mask), geometry, baked, lambda cells: [], scene.splats), []


def _of_depth(scene: ViewScene, texture_size: int) -> tuple[Stage, list[Warning]]:
    """Photographs: what has no depth may change too, but for itself."""
    assert scene.images is not None
    warnings, depths = [], scene.depths
    if depths is None:
        if problem := check_poses(scene.images, scene.cameras):
            what, _, remedy = problem.rpartition(": ")
            raise InvalidCamera(what, remedy)
        depths, _ = estimate_depths(scene.images, scene.cameras, masks=scene.masks)
        warnings.append(Warning("depth was estimated from the views", "send depth maps, splats or meshes to be exact"))
    geometry = depth_geometry(depths, scene.cameras)
    shared = _shared(geometry.space(1.0))
    if shared < LEAST_SHARED:
        warnings.append(
            Warning(
                f"only {shared:.0%} of the pixels are seen again in another view: the views hardly tie each other",
                "take views nearer to each other, and check the convention of their poses",
            )
        )
    everything = np.ones(scene.images.shape[:3], bool)
    return Stage(scene.images, _allowed(scene, everything), geometry, lambda cells: {}, lambda cells: []), warnings


def _shared(space: LinearSpace) -> float:
    """Fraction of all pixels whose cell another view sees too."""
    cells = space.nearest.reshape(space.view_shape[0], -1)
    count = np.zeros(space.cells, np.int32)
    for view in cells:
        count[np.unique(view[view >= 0])] += 1
    return float(((cells >= 0) & (count[cells] > 1)).mean())


def _allowed(scene: ViewScene, known: np.ndarray) -> np.ndarray:
    return known if scene.masks is None else known & scene.masks
