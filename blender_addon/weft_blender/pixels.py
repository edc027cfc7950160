"""Pictures between the wire (u1 [H, W, 3], row 0 on top) and Blender (float RGBA, row 0 at the bottom). NumPy only.

Everything here runs outside Blender's main thread.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

__all__ = ["encode_png", "sample", "shrink", "to_blender", "to_linear", "to_wire"]


def to_blender(image: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Flat float32 RGBA in Blender's row order, ready for `pixels.foreach_set`, of `image` u1 [H, W, 3].

    `alpha` u1 [H, W]; opaque without.
    """
    rgba = np.ones((*image.shape[:2], 4), np.float32)
    np.multiply(image[::-1], np.float32(1 / 255), out=rgba[..., :3])
    if alpha is not None:
        np.multiply(alpha[::-1], np.float32(1 / 255), out=rgba[..., 3])
    return rgba.ravel()


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light f4 of sRGB values f4 or u1, as Blender's colour attributes hold it."""
    if srgb.dtype == np.uint8:
        return to_linear(np.arange(256, dtype=np.float32) / 255)[srgb]
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_wire(pixels: np.ndarray, width: int, height: int, *, linear: bool) -> np.ndarray:
    """u1 [H, W, 3] sRGB over white of Blender's flat float32 RGBA; `linear` pictures (EXR, HDR) are encoded."""
    rgba = np.nan_to_num(pixels.reshape(height, width, 4)[::-1])
    rgb, alpha = rgba[..., :3], np.clip(rgba[..., 3:], 0, 1)
    if linear:
        rgb = np.clip(rgb, 0, 1)
        rgb = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * np.power(rgb, 1 / 2.4, dtype=np.float32) - 0.055)
    rgb = rgb * alpha + (1 - alpha)
    return np.ascontiguousarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)


def shrink(image: np.ndarray, longest: int) -> np.ndarray:
    """`image` u1 [H, W, 3] averaged over whole blocks until no side exceeds `longest` pixels."""
    factor = -(-max(image.shape[:2]) // longest)
    if factor <= 1:
        return image
    height, width = (side // factor for side in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def sample(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """[height, width] of `values` [H, W], the nearest of each."""
    rows, columns = ((np.arange(new) * old) // new for new, old in zip((height, width), values.shape, strict=True))
    return values[rows[:, None], columns]


def encode_png(image: np.ndarray) -> bytes:
    """PNG file of `image` u1 [H, W, 3 or 4]. zlib releases the interpreter lock, so Blender goes on drawing."""
    height, width, channels = image.shape
    rows = np.empty((height, 1 + channels * width), np.uint8)
    rows[:, 0] = 2  # filter "up": each row minus the one above
    flat = image.reshape(height, channels * width)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, 4)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
