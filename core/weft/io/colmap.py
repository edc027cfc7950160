"""Cameras and points from COLMAP, as its mapper leaves them in `sparse/0`: text or binary.

COLMAP's poses are world-to-camera with OpenCV's axes (+X right, +Y down, looking along +Z), the rotation a quaternion w
x y z: x_camera = R x + t. `Camera` wants the inverse, [Rᵀ | -Rᵀ t], with the second and third column negated. The world
stays COLMAP's. Pixel (0, 0) has its centre at (0.5, 0.5) in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splats import quaternion_matrices
from weft.io.colmap_records import CameraRecord, ImageRecord, Points, read_cameras, read_images, read_points
from weft.io.files import read_file
from weft.io.transforms import PosedImages

__all__ = ["find_model", "load_colmap"]

# Parameters of the lenses that an undistorted pinhole can take the place of, in the file's order.
_LENSES = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
}
_MODELS = (".", "sparse/0", "sparse", "colmap/sparse/0", "0")  # below the folder that is given
_PICTURES = ("images", "input", "image", ".")  # below the project's
_MASKS = "masks"
_UP = 3  # folders from the model to the project, at most
_Records = TypeVar("_Records")
_REMEDY = "export the model again with `colmap model_converter`"


@dataclass(frozen=True, eq=False)
class _Model:
    """The three files of a reconstruction, and what is to be said of the folder."""

    cameras: Path
    images: Path
    points: Path | None
    warnings: list[str] = field(default_factory=list)


def find_model(folder: Path) -> Path | None:
    """The folder in or below `folder` that holds a reconstruction of COLMAP; None where there is none."""
    places = [folder / name for name in _MODELS]
    places += sorted(path for path in (folder / "sparse").glob("*") if path.name != "0")
    return next((place for place in places if _either(place, "cameras") and _either(place, "images")), None)


def load_colmap(folder: str | Path) -> PosedImages:
    """Every image of the reconstruction in or below `folder`, in the order of their names, with its points.

    Pictures are looked for in `images` (or `input`) of the project, masks of their names in `masks`. Raises
    `InvalidInput` for damaged files, `InvalidCamera` for lenses that are not perspective.
    """
    folder = Path(folder)
    place = find_model(folder)
    if place is None:
        raise InvalidInput(
            f"{str(folder)!r} has no cameras and images of COLMAP",
            "name the folder that holds sparse/0, or that itself",
        )
    model = _model(place)
    lenses = _read(model.cameras, read_cameras)
    images = sorted(_read(model.images, read_images), key=lambda image: image.name)
    if not images:
        raise InvalidInput(f"{model.images.name!r} holds no images", "COLMAP placed none: check its log")
    points = Points.none() if model.points is None else _read(model.points, read_points)
    if not len(points.positions):
        model.warnings.append("the reconstruction has no points, so that depth is found from pictures alone")
    project = _project(place, images)
    files = tuple(_inside(project, _PICTURES, image.name) for image in images)
    if missing := [image.name for image, file in zip(images, files, strict=True) if file is None]:
        model.warnings.append(f"{len(missing)} of {len(images)} pictures are missing, the first is {missing[0][:80]!r}")
    cameras, curves = zip(*(_camera(image, lenses, model.images.name) for image in images), strict=True)
    masks = tuple(_mask(project, image.name) for image in images)
    return PosedImages(
        cameras, files, curves, tuple(model.warnings), masks, (None,) * len(images), 1.0,
        points.positions, points.colors,
    )  # fmt: skip


def _either(folder: Path, stem: str) -> Path | None:
    """The binary file, or the text; COLMAP itself looks in that order."""
    return next((path for end in (".bin", ".txt") if (path := folder / f"{stem}{end}").is_file()), None)


def _model(place: Path) -> _Model:
    cameras, images = _either(place, "cameras"), _either(place, "images")
    assert cameras is not None
    assert images is not None
    warnings = []
    others = [path for path in place.parent.glob("*") if path != place and _either(path, "cameras")]
    if place.parent.name == "sparse" and others:
        count = len(others) + 1
        warnings.append(f"COLMAP made {count} models that do not hang together: only {place.name!r} is used")
    return _Model(cameras, images, _either(place, "points3D"), warnings)


def _read(path: Path, reader: Callable[[bytes, bool], _Records]) -> _Records:
    """What `reader` makes of a file's bytes; its errors get the file's name."""
    data = read_file(path)
    try:
        return reader(data, path.suffix == ".bin")
    except (InvalidInput, ValueError, LookupError, OverflowError) as error:
        reason = error.message if isinstance(error, InvalidInput) else str(error).splitlines()[0][:100]
        raise InvalidInput(f"{path.name!r} is damaged or not COLMAP's: {reason}", _REMEDY) from None


def _camera(image: ImageRecord, lenses: Mapping[int, CameraRecord], file: str) -> tuple[Camera, dict[str, float]]:
    """The pinhole of an image and its distortion."""
    lens = lenses.get(image.camera)
    if lens is None:
        raise InvalidInput(f"{file!r}: {image.name!r} was taken by camera {image.camera}, which there is not", _REMEDY)
    names = _LENSES.get(lens.model)
    if names is None:
        raise InvalidCamera(
            f"{image.name!r} was taken with a lens of the model {lens.model}, expected {', '.join(_LENSES)}",
            "undistort the pictures with `colmap image_undistorter`",
        )
    if len(names) != len(lens.params):
        raise InvalidInput(
            f"a {lens.model} of COLMAP has {len(lens.params)} parameters, expected {len(names)}", _REMEDY
        )
    values = dict(zip(names, lens.params, strict=True))
    fx, fy = values.get("fx", values.get("f", 0.0)), values.get("fy", values.get("f", 0.0))
    try:
        camera = Camera(_pose(image), lens.width, lens.height, fx, fy, values["cx"], values["cy"])
    except InvalidCamera as error:
        raise InvalidCamera(f"{image.name!r}: {error.message}", error.hint or _REMEDY) from None
    return camera, {name: value for name, value in values.items() if name[0] in "kp"}


def _pose(image: ImageRecord) -> np.ndarray:
    """f8 [4, 4], camera to world with OpenGL's axes."""
    if not np.isfinite(image.quaternion).all() or not np.any(image.quaternion):
        raise InvalidCamera(f"its quaternion is {image.quaternion.tolist()}, expected a rotation")
    rotation = quaternion_matrices(image.quaternion[None])[0]
    pose = np.eye(4)
    pose[:3, :3] = rotation.T * (1, -1, -1)
    pose[:3, 3] = -rotation.T @ image.translation
    return pose


def _project(place: Path, images: list[ImageRecord]) -> Path:
    """The nearest folder above the model that has one of the pictures."""
    folders = [place, *place.resolve().parents[:_UP]]
    return next((f for f in folders if any(_inside(f, _PICTURES, image.name) for image in images)), place).resolve()


def _inside(project: Path, folders: tuple[str, ...], name: str) -> Path | None:
    """The file of this name in the first of `folders` that has it, if it does not lead out of there."""
    try:
        for folder in folders:
            within = (project / folder).resolve()
            path = (within / name.replace("\\", "/")).resolve()
            if path.is_relative_to(within) and path.is_file():
                return path
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, a loop of links
        pass
    return None


def _mask(project: Path, name: str) -> Path | None:
    """COLMAP's own masks are called picture.jpg.png, nerfstudio's picture.png."""
    names = (f"{name}.png", str(Path(name).with_suffix(".png")))
    return next((path for one in names if (path := _inside(project, (_MASKS,), one)) is not None), None)
