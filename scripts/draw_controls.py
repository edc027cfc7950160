"""Draw what ControlNets are shown of meshes: `draw_controls.py OUT.png MESH …`. A row a mesh, two views each."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from weft.geometry.camera import frame_object
from weft.geometry.unwrap import unwrap
from weft.io.meshes import load_meshes
from weft.spaces.mesh_texture import rasterize_views
from weft.spaces.surface import build_surface
from weft.tasks.control_encoding import KINDS
from weft.tasks.control_images import mesh_controls
from weft.tasks.sheet import sheet
from weft.tasks.view_plan import used_vertices

DIRECTIONS = [(-40.0, 20.0), (140.0, 20.0)]
SIZE, TEXTURE, COLOURS = 768, 256, 256


def row_of(path: Path) -> list[tuple[str, np.ndarray]]:
    """Labelled pictures of one mesh."""
    meshes = [mesh if mesh.corner_uv is not None else unwrap(mesh, TEXTURE) for mesh in load_meshes(path)]
    surface = build_surface(meshes, TEXTURE)
    cameras = frame_object(used_vertices(surface), DIRECTIONS, SIZE)
    views = rasterize_views(surface, cameras, jump=0.08 * surface.radius())
    made = mesh_controls(KINDS, views, surface)
    return [
        (f"{path.stem.split('_')[0]}, {kind}", made[kind][view].permute(1, 2, 0).numpy())
        for view in range(len(cameras))
        for kind in KINDS
    ]


def main(out: str, *paths: str) -> None:
    picture = sheet([row_of(Path(path)) for path in paths])
    drawn = Image.fromarray((picture * 255 + 0.5).astype(np.uint8))
    drawn.quantize(palette=drawn.quantize(COLOURS)).save(out, optimize=True)  # dithered only with a given palette


if __name__ == "__main__":
    main(*sys.argv[1:])
