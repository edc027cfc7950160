"""Images as float32 [H, W, 3], sRGB in [0, 1], row 0 at the top; bytes only at the border."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from weft.errors import InvalidImage, InvalidInput
from weft.io.files import read_file, write_file

__all__ = ["decode_image", "encode_png", "from_bytes", "load_image", "open_image", "save_gif", "save_image", "to_bytes"]

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_REMEDY = "convert it to PNG or JPEG"
_LARGEST_SIDE = 16384


def to_bytes(image: np.ndarray) -> np.ndarray:
    """float [...] in [0, 1] → u1, rounded to nearest and clamped; u1 passes through. NaN is refused."""
    if image.dtype == np.uint8:
        return image
    if not np.isfinite(image).all():
        raise InvalidImage("the image holds NaN or infinite values", "mask them or fill them before saving")
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def from_bytes(image: np.ndarray) -> np.ndarray:
    """u1 [...] → float32 in [0, 1]; `to_bytes` gives the same bytes back."""
    return image.astype(np.float32) / 255


def load_image(path: str | Path) -> np.ndarray:
    """Read PNG, JPEG, WebP, TIFF, BMP, ... as float32 [H, W, 3], upright as its EXIF says, alpha over white."""
    path = Path(path)
    return decode_image(read_file(path), str(path))


def decode_image(data: bytes, name: str = "the image") -> np.ndarray:
    """As `load_image`, from a file's bytes; `name` is for the error message."""
    with open_image(data, name) as opened:
        if opened.has_transparency_data and not opened.convert("RGBA").getchannel("A").getbbox():
            raise InvalidImage(f"{name!r} is transparent everywhere", "choose a picture that shows something")
        return _as_float(ImageOps.exif_transpose(opened))


@contextmanager
def open_image(data: bytes, name: str) -> Iterator[Image.Image]:
    """The picture, not yet decoded; what fails in the block, or before, becomes one line about `name`."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if max(opened.size) > _LARGEST_SIDE:
                raise InvalidImage(f"{name!r} is {opened.width}×{opened.height} px", f"at most {_LARGEST_SIDE} a side")
            yield opened
    except UnidentifiedImageError:
        raise InvalidImage(f"{name!r} is not an image that can be read", _REMEDY) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidImage(f"{name!r} has too many pixels", "scale it down; 512 px is plenty for an exemplar") from None
    except (OSError, SyntaxError, EOFError, ValueError, IndexError) as error:
        if isinstance(error, InvalidImage):
            raise
        raise InvalidImage(f"{name!r} is damaged: {error}", f"copy the file again or {_REMEDY}") from None


def _as_float(image: Image.Image) -> np.ndarray:
    """A decoded picture of any mode → float32 [H, W, 3]."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow widens to 32-bit integers in some formats
        grey = np.asarray(image, dtype=np.float32) / 65535
        return np.repeat(np.clip(grey, 0, 1)[..., None], 3, -1)
    if image.mode == "F":
        return np.repeat(np.clip(np.asarray(image, dtype=np.float32), 0, 1)[..., None], 3, -1)
    if image.has_transparency_data:
        pixels = from_bytes(np.asarray(image.convert("RGBA")))
        return pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:])
    return from_bytes(np.asarray(image.convert("RGB")))


def _picture(image: np.ndarray) -> Image.Image:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InvalidImage(f"an image of shape {image.shape} was given", "expected [height, width, 3]")
    return Image.fromarray(to_bytes(image))


def encode_png(image: np.ndarray) -> bytes:
    """The PNG file of f4 or u1 [H, W, 3]."""
    return _encoded(image, "PNG")


def _encoded(image: np.ndarray, form: str) -> bytes:
    stream = io.BytesIO()
    quality = {"quality": 92} if form in ("JPEG", "WEBP") else {}
    _picture(image).save(stream, form, **quality)
    return stream.getvalue()


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write f4 or u1 [H, W, 3]; the suffix chooses the format."""
    path = Path(path)
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise InvalidInput(f"{path.name!r} does not name an image format", f"end it in one of {', '.join(_FORMATS)}")
    write_file(path, _encoded(image, form))


def save_gif(frames: Sequence[np.ndarray], path: str | Path, fps: float = 12.0) -> None:
    """Write equal-sized frames (f4 or u1 [H, W, 3]) as an endless animation, at most 50 frames a second."""
    if len(frames) == 0 or len({frame.shape for frame in frames}) != 1:
        raise InvalidImage(f"{len(frames)} frames of differing or no size", "give one or more frames of one size")
    if not 0 < fps <= 50:
        raise InvalidInput(f"{fps} frames a second", "GIF players keep time between 0 and 50")
    pictures = [_picture(frame) for frame in frames]
    # One palette for all frames, taken from all of them: palettes of their own make still areas flicker.
    every = max(1, len(frames) // 8)
    sample = Image.fromarray(np.concatenate([np.asarray(picture) for picture in pictures[::every]]))
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT)
    first, *rest = [picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for picture in pictures]
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    write_file(Path(path), stream.getvalue())
