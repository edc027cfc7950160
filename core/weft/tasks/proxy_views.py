"""A proxy of what a scene is to become: its shape, seen from all around, and the scene that begins as this shape."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from weft.geometry.camera import Camera, frame_object
from weft.geometry.mesh import Mesh, check_mesh, concatenate, vertex_normals
from weft.geometry.rasterize import interpolate, rasterize_many
from weft.geometry.splats import Splats, f_dc_of
from weft.noise import CanonicalNoise
from weft.scenes.frame import SceneFrame, frame_of
from weft.scenes.kinds import Beginning, begin_scene
from weft.scenes.scene import Scene, TrainingViews
from weft.scenes.splats import SplatScene
from weft.scenes.training import TrainingStep, trained
from weft.tasks.splat_views import directions_around

__all__ = ["ProxyViews", "ball", "begun", "proxy_views"]

BACKGROUND = 0.5
_VIEWS = 24
_FILL = 0.85  # of the frame
_LIGHT = np.array([-0.4, -0.6, 0.7])  # in the world, with +Z up
_RADIUS, _FLAT = 0.55, 0.1  # standard deviations of a splat, in the distance of the next, and across the surface
_OPAQUE = 4.0  # logit
_MOST_CELLS = 500_000  # of noise
_SHAPING = 400  # steps in which a NeRF takes on the proxy's shape


@dataclass(frozen=True, eq=False)
class ProxyViews:
    """N views of a proxy, from cameras of the world."""

    vertices: np.ndarray  # f4 [V, 3]
    faces: np.ndarray  # i4 [F, 3]
    cameras: tuple[Camera, ...]
    masks: np.ndarray  # bool [N, H, W], the silhouettes
    normals: np.ndarray  # f4 [N, H, W, 3], unit, world; 0 beside the proxy
    positions: np.ndarray  # f4 [N, H, W, 3], world; 0 beside the proxy
    facing: np.ndarray  # f4 [N, H, W] in [0, 1], cosine of the view angle; 0 beside the proxy

    @cached_property
    def frame(self) -> SceneFrame:
        return frame_of(self.cameras)

    @cached_property
    def inside(self) -> tuple[Camera, ...]:
        """The cameras in the scene's frame."""
        return tuple(self.frame.into(camera) for camera in self.cameras)

    def shaded(self, color: np.ndarray) -> np.ndarray:
        """f4 [N, H, W, 3], the proxy in one `color` [3], lit from one side, over the background."""
        light = 0.75 + 0.25 * (self.normals @ (_LIGHT / np.linalg.norm(_LIGHT)))
        return np.where(self.masks[..., None], light[..., None] * color, BACKGROUND).astype(np.float32).clip(0, 1)

    def noise(self, channels: int, random: torch.Generator) -> Tensor:
        """[N, channels, H, W] ~ N(0, I) for each view; what several views show of one place has one noise in all."""
        away = np.linalg.norm(self.cameras[0].center - self.positions[self.masks].mean(0))
        pixel = away / self.cameras[0].fx
        cells, _ = self._scattered(int(np.clip(self._areas.sum() / pixel**2, 100, _MOST_CELLS)), 0)
        index = np.full(self.masks.size, -1, np.int32)
        _, index[self.masks.ravel()] = KDTree(cells).query(self.positions[self.masks], workers=1)
        views, height, width = self.masks.shape
        return CanonicalNoise(index, len(cells), (views, height, width))(channels, random)

    def discs(self, count: int, color: np.ndarray, seed: int) -> Splats:
        """`count` flat opaque splats of one `color` [3], evenly random on the surface; in the world."""
        means, normal = self._scattered(count, seed)
        # The rotation that takes +Z to the normal; a disc looks alike from both sides.
        normal = normal * np.where(normal[:, 2:] < 0, -1, 1)
        turns = np.stack([1 + normal[:, 2], -normal[:, 1], normal[:, 0], np.zeros(count)], 1)
        radius = _RADIUS * np.sqrt(self._areas.sum() / count)
        scales = np.log(np.tile(radius * np.array([1, 1, _FLAT]), (count, 1)))
        dc = np.tile(f_dc_of(color.astype(np.float32)), (count, 1))[:, None]
        return Splats(
            means.astype(np.float32), turns.astype(np.float32), scales.astype(np.float32),
            np.full(count, _OPAQUE, np.float32), dc,
        )  # fmt: skip

    @cached_property
    def _areas(self) -> np.ndarray:
        """f8 [F]"""
        a, b, c = self.vertices[self.faces].astype(np.float64).transpose(1, 0, 2)
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2

    def _scattered(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Places f8 [count, 3], evenly random on the surface, and the unit normals of their faces."""
        random = np.random.default_rng((seed, 3))
        chosen = random.choice(len(self.faces), count, p=self._areas / self._areas.sum())
        a, b, c = self.vertices[self.faces[chosen]].astype(np.float64).transpose(1, 0, 2)
        u, v = random.random((2, count, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        return a + u * (b - a) + v * (c - a), np.cross(b - a, c - a) / (2 * self._areas[chosen, None])


def proxy_views(meshes: Sequence[Mesh], size: int) -> ProxyViews:
    """`meshes`, of a world with +Z up, in views of `size`² px. Raises InvalidMesh."""
    for mesh in meshes:
        check_mesh(mesh)
    vertices, faces, _ = concatenate(meshes)
    cameras = tuple(frame_object(vertices[np.unique(faces)], directions_around(_VIEWS), size, _FILL))
    own = np.concatenate([vertex_normals(mesh) for mesh in meshes])
    masks, normals, positions, facing = [], [], [], []
    for camera, seen in zip(cameras, rasterize_many(vertices, faces, cameras), strict=True):
        hit = seen.triangle >= 0
        normal = interpolate(seen, own, faces)
        at = np.where(hit[..., None], interpolate(seen, vertices, faces), 0).astype(np.float32)
        toward = camera.toward(at.reshape(-1, 3)).reshape(normal.shape)
        length = np.maximum(np.linalg.norm(normal, axis=-1), 1e-9)
        cosine = np.where(hit, (normal * toward).sum(-1) / length, 0)
        normal = normal / length[..., None] * np.where(cosine < 0, -1, 1)[..., None]  # meshes may be inside out
        masks.append(hit)
        normals.append(np.where(hit[..., None], normal, 0).astype(np.float32))
        positions.append(at)
        facing.append(np.abs(cosine).clip(0, 1).astype(np.float32))
    return ProxyViews(vertices, faces, cameras, *map(np.stack, (masks, normals, positions, facing)))


def begun(
    proxy: ProxyViews, kind: str, count: int, color: np.ndarray, seed: int
) -> Generator[TrainingStep, None, Scene]:
    """A scene of `kind` in the proxy's shape and one `color` [3]: `count` splats on its surface, or a NeRF that learns
    its views, whose steps are yielded."""
    background = np.full(3, BACKGROUND, np.float32)
    if kind == "splats":
        return SplatScene.from_splats(proxy.frame.into_splats(proxy.discs(count, color, seed)), background)
    views = TrainingViews(proxy.shaded(color), proxy.inside)
    scene = yield from begin_scene(kind, views, Beginning(0, 0, seed, (BACKGROUND,) * 3, bounded=True))
    yield from trained(scene, views, steps=_SHAPING, seed=seed)
    return scene


def ball(rows: int = 24) -> Mesh:
    """The unit sphere, for who gives no proxy."""
    polar, around = np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, 2 * rows, endpoint=False)
    ring = np.stack([np.cos(around), np.sin(around)], 1)
    flat = np.sin(polar)[:, None, None] * ring
    height = np.broadcast_to(np.cos(polar)[:, None, None], (*flat.shape[:2], 1))
    vertices = np.concatenate([flat, height], 2).reshape(-1, 3).astype(np.float32)
    i, j = (index.ravel() for index in np.mgrid[:rows, : 2 * rows])
    a, b = i * 2 * rows + j, i * 2 * rows + (j + 1) % (2 * rows)
    faces = np.concatenate([np.stack([a, a + 2 * rows, b], 1), np.stack([b, a + 2 * rows, b + 2 * rows], 1)])
    corners = vertices[faces].astype(np.float64)
    solid = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 1e-9
    return Mesh("ball", vertices, faces[solid].astype(np.int32))
