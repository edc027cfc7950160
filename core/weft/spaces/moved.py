"""A scene of which a part is moved rigidly, seen by the same cameras before and after.

Cells keep their numbers (texels, splats), so that what the views say of a cell at its old place can be read at its new
one: P' G, with G the gather of the space before and P' the projection of the space after. Points of depth maps are
made anew, because what they are is what pixels see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import convolve

from weft.errors import InvalidInput, UnknownName
from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh
from weft.geometry.rasterize import rasterize_many
from weft.geometry.rigid import Rigid
from weft.geometry.splat_weights import splat_weights
from weft.geometry.splats import Splats, transformed
from weft.spaces.depth_points import depth_geometry
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, build_space, rasterize_views
from weft.spaces.moved_depth import moved_depths
from weft.spaces.splat_geometry import splat_view_geometry
from weft.spaces.surface import Surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh

__all__ = ["Moved", "check_moved", "members_masked", "members_named", "moved_depth", "moved_mesh", "moved_splats"]

_FINER = 3  # rays along each side of a pixel, to see how much of it is covered
_SOFT = np.array([[1, 2, 1], [2, 12, 2], [1, 2, 1]], np.float32) / 24  # how an outline crosses its pixels on average
_STILL = 1e-4  # of the object's size: less is no motion


@dataclass(frozen=True, eq=False)
class Moved:
    """`members` bool [cells] went the way of `rigid`. was, now: bool [N, H, W], pixels that showed them before and show
    them after. share: f4 [N, H, W] in [0, 1], how much of each pixel they cover after."""

    before: ViewGeometry
    after: ViewGeometry
    was: np.ndarray
    now: np.ndarray
    share: np.ndarray
    members: np.ndarray
    rigid: Rigid
    scene: MeshTextureSpace | Splats | None = None  # what `after` was made of; None: of depth maps

    @cached_property
    def origin(self) -> np.ndarray:
        """f4 [N, H, W, 3], where in the world before the motion lies what each pixel shows after it."""
        return np.where(self.now[..., None], self.rigid.inverse.points(self.after.position), self.after.position)

    @cached_property
    def origin_normal(self) -> np.ndarray:
        """f4 [N, H, W, 3], and how it was turned then."""
        turned = self.rigid.inverse.directions(self.after.normal)
        return np.where(self.now[..., None], turned, self.after.normal)


def members_named(surface: Surface, name: str) -> np.ndarray:
    """bool [cells]: those of the mesh called `name`. Raises UnknownName."""
    names = [mesh.name for mesh in surface.meshes]
    if name not in names:
        raise UnknownName(f"no mesh is called {name!r}", f"meshes: {', '.join(names)}")
    return surface.object == names.index(name)


def members_masked(geometry: ViewGeometry, masks: np.ndarray) -> np.ndarray:
    """bool [cells]: those that lie in the `masks` bool [N, H, W] of most views that see them, the better views counting
    more; a cell that no view sees goes with the one that it copies. Raises InvalidInput where that leaves none."""
    if not masks.any():
        raise InvalidInput("the masks of the object are empty", "paint the object white in the views that show it")
    space = geometry.space(1.0)
    rows = torch.from_numpy(masks.reshape(-1, 1).astype(np.float32))
    members = (space.unproject(rows)[:, 0] >= 0.5).numpy()
    if not members.any():
        raise InvalidInput(
            "the masks show nothing whose place is known", "check that they fit the views, and that the depth does"
        )
    return members


def moved_mesh(space: MeshTextureSpace, members: np.ndarray, rigid: Rigid, trust: Trust | None = None) -> Moved:
    """Faces move whose cells do, for the greater part. `space` is that of the views before."""
    surface = space.surface
    faces = _member_faces(surface, members)
    moved = _moved_surface(surface, faces, rigid)
    views = rasterize_views(moved, space.views.cameras, jump=space.views.jump)
    after = build_space(moved, views, trust or Trust())
    was, now = (drawn.views.mask & faces[drawn.views.triangle] for drawn in (space, after))
    share = _share_of_faces(moved, faces, space.views.cameras)
    return Moved(of_mesh(space), of_mesh(after), was, now, share, faces[surface.triangle], rigid, after)


def _share_of_faces(surface: Surface, faces: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """f4 [N, H, W], the part of each pixel that these `faces` bool [F] make up."""
    fine = rasterize_many(surface.vertices, surface.faces, [camera.scaled(_FINER) for camera in cameras])
    own = np.stack([(view.triangle >= 0) & faces[view.triangle] for view in fine])
    count, height, width = own.shape
    blocks = own.reshape(count, height // _FINER, _FINER, width // _FINER, _FINER)
    return blocks.mean((2, 4), dtype=np.float32)


def _member_faces(surface: Surface, members: np.ndarray) -> np.ndarray:
    """bool [F]. A face without a cell of its own goes with the one that its middle reads."""
    count = len(surface.faces)
    votes = np.bincount(surface.triangle, members - 0.5, count)
    voted = np.bincount(surface.triangle, minlength=count) > 0
    middle = surface.corner_uv.mean(1)
    column, row = (
        np.clip(np.floor(at * surface.size), 0, surface.size - 1).astype(np.int64)
        for at in (middle[:, 0], 1 - middle[:, 1])
    )
    return np.where(voted, votes > 0, members[surface.nearest[surface.face_object, row, column]])


def _moved_surface(surface: Surface, faces: np.ndarray, rigid: Rigid) -> Surface:
    """`surface` with these `faces` bool [F] moved; where they meet others, the vertices are doubled."""
    cells = faces[surface.triangle][:, None]
    count = len(surface.vertices)
    return replace(
        surface,
        meshes=tuple(_moved_meshes(surface, faces, rigid)),
        vertices=np.concatenate([surface.vertices, rigid.points(surface.vertices)]),
        normals=np.concatenate([surface.normals, rigid.directions(surface.normals)]),
        faces=np.where(faces[:, None], surface.faces + np.int32(count), surface.faces),
        position=np.where(cells, rigid.points(surface.position), surface.position),
        normal=np.where(cells, rigid.directions(surface.normal), surface.normal),
    )


def _moved_meshes(surface: Surface, faces: np.ndarray, rigid: Rigid) -> Iterator[Mesh]:
    first = 0
    for mesh in surface.meshes:
        own = faces[first : first + len(mesh.faces)]
        first += len(mesh.faces)
        if own.all():
            yield replace(mesh, vertices=rigid.points(mesh.vertices))
        elif own.any():
            both = np.concatenate([mesh.vertices, rigid.points(mesh.vertices)])
            doubled = np.where(own[:, None], mesh.faces + np.int32(len(mesh.vertices)), mesh.faces)
            yield replace(mesh, vertices=both, faces=doubled)
        else:
            yield mesh


def moved_splats(splats: Splats, before: ViewGeometry, members: np.ndarray, rigid: Rigid) -> Moved:
    """`before`: the geometry of `splats`, whose cells they are."""
    own = members.reshape(-1, 1)
    there = transformed(splats, rigid.matrix)
    moved = Splats(
        np.where(own, there.means, splats.means), np.where(own, there.quaternions, splats.quaternions),
        splats.log_scales, splats.logits, np.where(own[..., None], there.sh, splats.sh),
    )  # fmt: skip
    after = splat_view_geometry(moved, before.cameras)
    was, now = (_shown(geometry, members) for geometry in (before, after))
    weights = splat_weights(moved, before.cameras)
    own = np.where(members[weights.splats], weights.weights, np.float32(0))
    pixels = np.repeat(np.arange(now.size), np.diff(weights.row_starts))
    share = np.bincount(pixels, own, now.size).reshape(now.shape).astype(np.float32)
    return Moved(before, after, was, now, share, members, rigid, moved)


def moved_depth(before: ViewGeometry, members: np.ndarray, rigid: Rigid) -> Moved:
    """Pixels of depth maps: those that a view sees at its own place stay, the others are drawn from all views."""
    was = _shown(before, members)
    if _is_still(before, members, rigid):
        return Moved(before, before, was, was, _softened(was), members, rigid)
    depth, now = moved_depths(before.cameras, before.depth, was, rigid)
    return Moved(before, depth_geometry(depth, before.cameras), was, now, _softened(now), members, rigid)


def _softened(now: np.ndarray) -> np.ndarray:
    """f4 [N, H, W], about the part of each pixel that lies on these bool [N, H, W], where only their middles are
    known."""
    return convolve(now.astype(np.float32), _SOFT[None], mode="nearest")


def _shown(geometry: ViewGeometry, members: np.ndarray) -> np.ndarray:
    """bool [N, H, W]: pixels more than half of which are `members`."""
    share = geometry.space(1.0).projection @ torch.from_numpy(members.astype(np.float32))[:, None]
    return geometry.mask & (share.numpy() > 0.5).reshape(geometry.shape)


def _is_still(geometry: ViewGeometry, members: np.ndarray, rigid: Rigid) -> bool:
    """Whether the motion leaves the members where they are."""
    at = geometry.cell_position[members]
    return not len(at) or rigid.reach(at) <= _STILL * float(np.linalg.norm(np.ptp(at, axis=0)))


def check_moved(moved: Moved) -> None:
    """Raise InvalidInput, in one line, where there is nothing to see of the motion."""
    if _is_still(moved.before, moved.members, moved.rigid):
        raise InvalidInput("the motion leaves the object where it is", "translate it or rotate it")
    if not moved.now.any():
        raise InvalidInput(
            "the object is in no view any more after the motion", "move it less far, or not behind what hides it"
        )
