"""Textures and masks to the byte: what is not repainted must come back as it was.

`load_image` is for pictures to look at: it lays alpha over white and narrows 16 bits. Here nothing is changed: what is
not eight bits of sRGB, or cannot become that exactly, is refused with what it is.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from weft.errors import InvalidImage, InvalidInput, WeftError
from weft.io.files import read_file
from weft.io.gltf import read_gltf_pictures
from weft.io.images import open_image
from weft.io.obj import read_obj_pictures

__all__ = ["decode_texture", "load_mask", "load_texture", "load_textures"]

_EXACT = ("RGB", "RGBA", "L", "LA", "P", "PA", "1")
_SPACES = {"CMYK": "CMYK", "LAB": "CIELAB", "HSV": "HSV", "YCbCr": "YCbCr", "F": "linear floating point"}
_LINEAR = {b"v/1\x01": "an OpenEXR file", b"#?RA": "a Radiance HDR file", b"#?RG": "a Radiance HDR file"}
_REMEDY = "save it as an 8-bit sRGB PNG"
_TOLERANCE = 3  # of 255: a colour profile that changes no colour by more is sRGB under another name
_ENCODING_GAMMA = 0.45455  # of sRGB, as PNG's gAMA chunk has it


def load_texture(path: str | Path) -> np.ndarray:
    """The file's own sRGB bytes, u1 [H, W, 3], row 0 at the top; colours under transparent texels as they are.

    Grey and indexed pictures become RGB, which is exact. InvalidImage names any other colour space, 16 bits and
    floating point, and says what to do.
    """
    return decode_texture(read_file(Path(path)), str(path))


def decode_texture(data: bytes, name: str) -> np.ndarray:
    """As `load_texture`, from a file's bytes."""
    linear = _LINEAR.get(data[:4])
    if linear:
        raise InvalidImage(f"{name!r} is {linear}, which holds linear light; a texture is sRGB", _REMEDY)
    with open_image(data, name) as opened:
        _check_space(opened, name)
        kept = opened.convert("RGBA") if opened.mode in ("P", "PA", "LA") else opened
        rgb = Image.merge("RGB", kept.split()[:3]) if kept.mode == "RGBA" else kept.convert("RGB")
        return np.asarray(rgb)


def _check_space(picture: Image.Image, name: str) -> None:
    """Raise unless the picture is eight bits of sRGB or of its greys."""
    deep = any(";16" in str(tile) for tile in getattr(picture, "tile", ())) or picture.mode.startswith("I")
    if deep:
        raise InvalidImage(f"{name!r} has 16 bits a channel, of which a texture keeps 8", _REMEDY)
    if picture.mode not in _EXACT:
        space = _SPACES.get(picture.mode, picture.mode)
        raise InvalidImage(f"the colours of {name!r} are {space}, expected sRGB", _REMEDY)
    gamma = picture.info.get("gamma")
    if (
        gamma
        and "srgb" not in picture.info
        and "icc_profile" not in picture.info
        and abs(gamma - _ENCODING_GAMMA) > 0.05
    ):
        raise InvalidImage(f"the colours of {name!r} have a gamma of {1 / gamma:.2f}, expected that of sRGB", _REMEDY)
    if picture.info.get("icc_profile") and picture.mode in ("RGB", "RGBA"):
        _check_profile(picture.info["icc_profile"], name)


def _check_profile(icc: bytes, name: str) -> None:
    """Raise unless the profile is sRGB's: by what it does to colours, since its name may be anything."""
    levels = np.array(np.meshgrid(*3 * [np.linspace(0, 255, 6)]), np.uint8).reshape(3, -1).T[None]
    ramp = Image.fromarray(np.ascontiguousarray(levels))
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        shown = ImageCms.profileToProfile(ramp, profile, ImageCms.createProfile("sRGB"))
        called = ImageCms.getProfileDescription(profile).strip()
    except (ImageCms.PyCMSError, OSError):
        return  # a damaged profile: every program shows such a picture as sRGB
    change = 0 if shown is None else int(np.abs(np.asarray(shown).astype(int) - levels).max())
    if change > _TOLERANCE:
        raise InvalidImage(f"{name!r} has the colour profile {called!r}, expected sRGB", "convert it to sRGB")


def load_mask(path: str | Path) -> np.ndarray:
    """bool [H, W]: where the picture is nearer to white than to black; transparent counts as black."""
    with open_image(read_file(Path(path)), str(path)) as opened:
        grey = np.asarray(opened.convert("RGBA"), np.float32) / 255
    mask = grey[..., :3].mean(-1) * grey[..., 3] > 0.5
    if not mask.any():
        raise InvalidInput(f"the mask {str(path)!r} is black everywhere", "paint white where the texture may change")
    return mask


def load_textures(path: str | Path) -> list[list[np.ndarray]]:
    """The base colour textures u1 [H, W, 3] that a .glb, .gltf or .obj file has for each of its objects, in the order
    of `load_meshes`: none, one, or one for each of several materials. Other formats hold no textures: no lists."""
    path = Path(path)
    try:
        pictures = _pictures(path)
    except WeftError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, struct.error, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"the materials of {path.name!r} are damaged: {reason}"
        raise InvalidImage(message, "give its texture as a file of its own") from None
    return [[decode_texture(file, f"texture in {path.name}") for file in found] for found in pictures]


def _pictures(path: Path) -> list[set[bytes]]:
    match path.suffix.lower():
        case ".obj":
            return read_obj_pictures(read_file(path), path.parent)
        case ".glb" | ".gltf":
            return read_gltf_pictures(read_file(path), path.parent)
        case _:
            return []
