"""The scene's cameras as poses and pinhole intrinsics."""

from __future__ import annotations

import bpy
import numpy as np

from .errors import SceneError

__all__ = ["export_cameras", "intrinsics", "pose"]


def export_cameras(scene: bpy.types.Scene) -> dict[str, np.ndarray]:
    """`camera.poses` f4 [N, 4, 4] and `camera.intrinsics` f4 [N, 6] of all perspective cameras of `scene`.

    Raises SceneError when there is none.
    """
    cameras = [obj for obj in scene.objects if obj.type == "CAMERA" and obj.data.type == "PERSP"]
    if not cameras:
        raise SceneError(
            "no_camera",
            f"the scene '{scene.name}' has no perspective camera",
            "add one with Add > Camera, or set Cameras to Automatic",
        )
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = [camera.evaluated_get(depsgraph) for camera in cameras]
    return {
        "camera.poses": np.stack([pose(camera) for camera in evaluated]),
        "camera.intrinsics": np.stack([intrinsics(camera, scene, depsgraph) for camera in evaluated]),
    }


def pose(camera: bpy.types.Object) -> np.ndarray:
    """Camera-to-world f4 [4, 4], rigid: +X right, +Y up, looking along -Z. A scaled camera sees the same picture."""
    matrix = np.array(camera.matrix_world.normalized(), np.float64)
    return matrix.astype(np.float32)


def intrinsics(camera: bpy.types.Object, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """f4 [6]: fx fy cx cy width height in pixels of the render, pixel centres at +0.5, row 0 on top.

    Blender's own projection matrix P already knows sensor fit, shift, render size and pixel aspect. It maps a point
    (x, y, -1) to clip coordinates (P00 x - P02, P11 y - P12), which span [-1, 1] over the picture.
    """
    render = scene.render
    width, height = (
        max(1, int(side * render.resolution_percentage / 100)) for side in (render.resolution_x, render.resolution_y)
    )
    matrix = camera.calc_matrix_camera(
        depsgraph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    fx, fy = matrix[0][0] * width / 2, matrix[1][1] * height / 2
    cx, cy = (1 - matrix[0][2]) * width / 2, (1 + matrix[1][2]) * height / 2
    return np.array([fx, fy, cx, cy, width, height], np.float32)
