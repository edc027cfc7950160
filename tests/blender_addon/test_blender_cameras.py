"""Exported intrinsics project points where Blender's own renderer puts them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.blender

POINTS = np.array([(0.3, 0.2, 0.1), (-1, 0.5, 2), (0, 0, 0), (0.7, -0.9, -0.4)])


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(640, 360), (300, 500)])
@pytest.mark.parametrize("aspect", [(1, 1), (1, 2), (1.5, 1)])
def test_projection_equals_blenders(
    bpy: Any, addon: ModuleType, fit: str, size: tuple[int, int], aspect: tuple[float, float]
) -> None:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    from weft_blender.cameras import export_cameras

    scene = bpy.context.scene
    bpy.ops.object.camera_add(location=(4, -6, 3), rotation=(1.1, 0.05, 0.6))
    camera = bpy.context.object
    camera.scale = (2, 2, 2)
    camera.data.lens, camera.data.sensor_fit = 40, fit
    camera.data.shift_x, camera.data.shift_y = 0.1, -0.2
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 50
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    bpy.context.view_layer.update()
    arrays = export_cameras(scene)
    pose, (fx, fy, cx, cy, width, height) = arrays["camera.poses"][0], arrays["camera.intrinsics"][0]
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-5)
    assert (width, height) == (size[0] // 2, size[1] // 2)
    for point in POINTS:
        x, y, z = pose[:3, :3].T @ (point - pose[:3, 3])
        pixel = (cx + fx * x / -z, cy - fy * y / -z)
        camera.scale = (1, 1, 1)
        bpy.context.view_layer.update()
        expected = world_to_camera_view(scene, camera, Vector(point))
        np.testing.assert_allclose(pixel, (expected.x * width, (1 - expected.y) * height), atol=0.02)


def test_only_perspective_cameras_count(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.cameras import export_cameras
    from weft_blender.errors import SceneError

    bpy.ops.object.camera_add()
    bpy.context.object.data.type = "ORTHO"
    with pytest.raises(SceneError, match="no perspective camera"):
        export_cameras(bpy.context.scene)
    bpy.ops.object.camera_add()
    assert export_cameras(bpy.context.scene)["camera.poses"].shape == (1, 4, 4)
