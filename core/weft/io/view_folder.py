"""Photographs or renders with poses, as jobs on views take them: one size, pinhole cameras, masks and depth if known.

A folder with a transforms.json (or transforms_train.json, Blender's variant), or with a reconstruction of COLMAP. Lens
distortion is taken out, pictures are scaled, of many some are chosen that overlap. Depth maps are OpenEXR in world
units, or PNG with 16 bits in the file's unit (millimetres, if it names none), 0 = unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from weft.errors import InvalidCamera, InvalidImage, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.undistort import resampled, undistorted
from weft.geometry.view_choice import choose_views
from weft.io.colmap import find_model, load_colmap
from weft.io.depth import load_depth
from weft.io.files import read_file
from weft.io.images import from_bytes, open_image
from weft.io.transforms import PosedImages, load_cameras

__all__ = ["ViewFolder", "load_views"]

_FILES = ("transforms.json", "transforms_train.json")
_SAME_RATIO = 0.01  # by which width / height of a picture and of its camera may differ: sizes are rounded
_MASKS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
_REMEDY = "make the folder with nerfstudio's ns-process-data or instant-ngp's colmap2nerf, or render it in Blender"


@dataclass(frozen=True, eq=False)
class ViewFolder:
    """N views. Masks and depths are None where the folder has none for any of them."""

    images: np.ndarray  # f4 [N, H, W, 3] sRGB in [0, 1], what is transparent over white
    cameras: tuple[Camera, ...]  # pinholes
    masks: np.ndarray | None  # bool [N, H, W], False = ignore
    depths: np.ndarray | None  # f4 [N, H, W] along the viewing axis, world units, infinite = unknown
    objects: np.ndarray | None  # bool [N, H, W], where the object is that was asked for
    files: tuple[Path, ...]  # of the pictures, resolved
    warnings: tuple[str, ...]
    points: np.ndarray | None = None  # f4 [P, 3] of structure from motion, in the cameras' world
    point_colors: np.ndarray | None = None  # u1 [P, 3], sRGB


def load_views(
    path: str | Path, *, size: int = 0, count: int | None = None, objects: str | Path | None = None
) -> ViewFolder:
    """The views of a folder, or of its transforms file, in the file's order; of COLMAP, in the order of names.

    `size`: pixels of the longer side (0, or more than there are: as they are). `count`: of more, so many are chosen
    (`geometry.view_choice`). `objects`: a folder with a mask for every picture, of its name and size, white where the
    object is that the masks are of; they are undistorted and scaled with the pictures. Pictures that are missing are
    warned of. Raises InvalidInput without two views to use, InvalidImage for pictures of different sizes.
    """
    path = Path(path)
    posed = _posed(path)
    present = [k for k, image in enumerate(posed.images) if image is not None]
    if len(present) < 2:
        told = f"; {posed.warnings[0]}" if posed.warnings else ""
        raise InvalidInput(f"{str(path)!r} has {len(present)} view to use, expected 2 or more{told}", _REMEDY)
    if count is not None:
        if count < 2:
            raise InvalidInput(f"{count} view asked for, expected 2 or more", "one view is consistent with itself")
        present = [present[k] for k in choose_views([posed.cameras[k] for k in present], count)]
    views = [_load_view(posed, k, size, None if objects is None else Path(objects)) for k in present]
    _check_sizes(views)
    images = np.stack([view.image for view in views])
    masks, depths = _joined([view.mask for view in views], True), _joined([view.depth for view in views], np.inf)
    shown = _joined([view.object for view in views], False)
    cameras, files = tuple(view.camera for view in views), tuple(view.file for view in views)
    return ViewFolder(
        images, cameras, masks, depths, shown, files, posed.warnings, posed.points, posed.point_colors
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _View:
    file: Path
    image: np.ndarray  # f4 [H, W, 3]
    camera: Camera
    mask: np.ndarray | None  # bool [H, W]
    depth: np.ndarray | None  # f4 [H, W]
    object: np.ndarray | None  # bool [H, W]


def _posed(path: Path) -> PosedImages:
    """Of the file itself, or of what the folder has."""
    if not path.is_dir():
        return load_cameras(path)
    found = next((path / name for name in _FILES if (path / name).is_file()), None)
    if found is not None:
        return load_cameras(found)
    if find_model(path) is not None:
        return load_colmap(path)
    raise InvalidInput(
        f"{str(path)!r} has no transforms.json and no sparse/0 of COLMAP: nothing tells where its views were taken",
        _REMEDY,
    )


def _load_view(posed: PosedImages, k: int, size: int, objects: Path | None) -> _View:
    """View `k`, scaled and undistorted."""
    path, mask_path, depth_path = posed.images[k], posed.masks[k], posed.depths[k]
    assert path is not None
    pixels = _read_pixels(path)
    opacity, colours = pixels[..., 3:], pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:])
    mask = None if opacity.min() == 1 else opacity[..., 0] > 0.5
    if mask_path is not None:
        mask = _read_mask(mask_path)
    depth = None if depth_path is None else _read_depth(depth_path, posed.depth_unit)
    shown = None if objects is None else _object_mask(objects, path, pixels.shape[:2])

    height, width = _scaled_size(pixels.shape[:2], size)
    camera, at = undistorted(_fitting(posed.cameras[k], height, width, path.name), posed.distortion[k])
    image = resampled(_resized(colours, height, width), at).clip(0, 1)
    mask, depth, shown = (
        None if one is None else resampled(_nearest(one, height, width)[..., None], at, smooth=False)[..., 0]
        for one in (mask, depth, shown)
    )
    return _View(path, image, camera, None if mask is None else mask > 0, depth, None if shown is None else shown > 0)


def _object_mask(folder: Path, picture: Path, shape: tuple[int, ...]) -> np.ndarray:
    """bool [H, W]: the mask that is called as the picture is. Black everywhere where it does not show the object."""
    found = next((path for end in _MASKS if (path := folder / f"{picture.stem}{end}").is_file()), None)
    if found is None:
        raise InvalidInput(f"{str(folder)!r} has no mask called {picture.stem!r}", "call masks as the pictures are")
    mask = _read_mask(found)
    if mask.shape != shape:
        raise InvalidInput(
            f"the mask {str(found)!r} is {mask.shape[1]}×{mask.shape[0]} px, its picture {shape[1]}×{shape[0]} px",
            "paint it at the picture's size",
        )
    return mask


def _read_mask(path: Path) -> np.ndarray:
    """bool [H, W]: what is nearer to white than to black; transparent counts as black."""
    pixels = _read_pixels(path)
    return pixels[..., :3].mean(-1) * pixels[..., 3] > 0.5


def _read_pixels(path: Path) -> np.ndarray:
    """f4 [H, W, 4] as stored: intrinsics are those of the pixels in the file, however EXIF would turn them."""
    with open_image(read_file(path), path.name) as opened:
        if opened.mode.startswith("I"):  # 16-bit grey
            grey = np.asarray(opened, np.float32)[..., None] / 65535
            return np.concatenate([grey, grey, grey, np.ones_like(grey)], -1).clip(0, 1)
        return from_bytes(np.asarray(opened.convert("RGBA")))


def _read_depth(path: Path, unit: float) -> np.ndarray:
    """f4 [H, W], world units, infinite = unknown."""
    if path.suffix.lower() == ".exr":
        return load_depth(path)
    with open_image(read_file(path), path.name) as opened:
        if not opened.mode.startswith("I"):
            expected = "expected 16 bits of grey, in millimetres, or an EXR"
            raise InvalidImage(f"the depth map {path.name!r} is a picture of the mode {opened.mode}, {expected}")
        steps = np.asarray(opened, np.float32)
    return np.where(steps > 0, steps * np.float32(unit), np.float32(np.inf))


def _scaled_size(shape: Sequence[int], size: int) -> tuple[int, int]:
    """height, width"""
    factor = min(1.0, size / max(shape)) if size > 0 else 1.0
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _fitting(camera: Camera, height: int, width: int, name: str) -> Camera:
    """`camera` for a picture of this size."""
    across, down = width / camera.width, height / camera.height
    rounding = 1 / min(height, width, camera.height, camera.width)
    if abs(across / down - 1) > _SAME_RATIO + rounding:
        raise InvalidCamera(
            f"{name!r} has the shape of {width}×{height} px, its camera is for {camera.width}×{camera.height}",
            "crop neither without the other",
        )
    return replace(
        camera, width=width, height=height, fx=camera.fx * across, fy=camera.fy * down, cx=camera.cx * across,
        cy=camera.cy * down,
    )  # fmt: skip


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """f4 [height, width, 3], without aliases."""
    if image.shape[:2] == (height, width):
        return image
    planes = [Image.fromarray(image[..., c]).resize((width, height), Image.Resampling.LANCZOS) for c in range(3)]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], -1)


def _nearest(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """[height, width], of the nearest pixels."""
    row = ((np.arange(height) + 0.5) * values.shape[0] / height).astype(int)
    column = ((np.arange(width) + 0.5) * values.shape[1] / width).astype(int)
    return values[row[:, None], column]


def _check_sizes(views: Sequence[_View]) -> None:
    first = views[0]
    for view in views[1:]:
        if view.image.shape != first.image.shape:
            sizes = [f"{one.file.name!r} is {one.image.shape[1]}×{one.image.shape[0]} px" for one in (first, view)]
            raise InvalidImage(f"{sizes[0]}, {sizes[1]}: expected views of one size", "crop or leave out the others")


def _joined(maps: Sequence[np.ndarray | None], missing: float | bool) -> np.ndarray | None:
    """[N, H, W], `missing` where a view has none; None if none has one."""
    known = next((one for one in maps if one is not None), None)
    if known is None:
        return None
    return np.stack([np.full_like(known, missing) if one is None else one for one in maps])
