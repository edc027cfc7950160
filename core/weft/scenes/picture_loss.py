"""How far a render is from a picture, and what its pixels want: 0.8·L1 + 0.2·(1 - SSIM) (Kerbl et al. 2023, Eq. 7).

SSIM (Wang et al. 2004) of every channel under a Gaussian window of 11 × 11 px, σ = 1.5, with zeros beyond the border.
With means m, variances and the covariance v of picture and render under the window,

    s = A₁ A₂ / (B₁ B₂),    A₁ = 2 mₓ m_y + C₁,  A₂ = 2 vₓᵧ + C₂,  B₁ = mₓ² + m_y² + C₁,  B₂ = vₓ + v_y + C₂

is a function of three blurred images of x, (x, x², x y), so that its gradient is three blurred images, too.
"""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["C1", "C2", "SIMILARITY", "WINDOW", "picture_loss"]

SIMILARITY = 0.2  # the share of 1 - SSIM
_REACH = 5  # pixels
WINDOW = np.exp(-(np.arange(-_REACH, _REACH + 1) ** 2) / (2 * 1.5**2))
WINDOW = (WINDOW / WINDOW.sum()).astype(np.float32)
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)
_LANES = 32  # of rows, each of which allocates its scratch memory once


def picture_loss(image: np.ndarray, picture: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """The loss of `image` [H, W, 3] against `picture`, a mean over the pixels of `mask` bool [H, W], and its gradient
    [H, W, 3]. What lies outside the mask counts as equal, and wants nothing."""
    height, width = image.shape[:2]
    if mask is not None:
        picture = np.where(mask[..., None], picture, image)
    picture = np.ascontiguousarray(picture, image.dtype)
    values = 3.0 * (height * width if mask is None else max(int(mask.sum()), 1))
    moments, blurred = (np.empty((height, width * 15), image.dtype) for _ in range(2))
    _moments(image, picture, moments)
    _blur(moments, 15, blurred)
    slopes, spread = (np.empty((height, width * 9), image.dtype) for _ in range(2))
    losses, gradient = np.empty((height, 2)), np.empty_like(image)
    _similarity(blurred, slopes, losses)
    _blur(slopes, 9, spread)
    _combine(image, picture, spread, 1 / values, gradient, losses)
    if mask is not None:
        gradient *= mask[..., None]
    unlike, away = losses.sum(0) / values
    return float(SIMILARITY * unlike + (1 - SIMILARITY) * away), gradient


@parallel_kernel(reassociate=True)
def _moments(image, picture, moments):
    """x, x², x y, y, y² of every channel, `moments` [H, W·15]."""
    for row in numba.prange(image.shape[0]):
        for column in range(image.shape[1]):
            for c in range(3):
                x, y = image[row, column, c], picture[row, column, c]
                at = column * 15 + c
                moments[row, at], moments[row, at + 3], moments[row, at + 6] = x, x * x, x * y
                moments[row, at + 9], moments[row, at + 12] = y, y * y


@parallel_kernel(reassociate=True)
def _blur(planes, channels, blurred):
    """`planes` [H, W·channels] under the window, first along columns, then along rows."""
    height, width = planes.shape
    for lane in numba.prange(_LANES):
        padded = np.zeros(width + 2 * _REACH * channels, planes.dtype)
        middle = padded[_REACH * channels : _REACH * channels + width]
        for row in range(lane, height, _LANES):
            middle[:] = np.float32(0)
            for q in range(max(0, _REACH - row), min(2 * _REACH + 1, height + _REACH - row)):
                weight, source = WINDOW[q], planes[row + q - _REACH]
                for at in range(width):
                    middle[at] += weight * source[at]
            target = blurred[row]
            target[:] = np.float32(0)
            for q in range(2 * _REACH + 1):
                weight, shifted = WINDOW[q], padded[q * channels : q * channels + width]
                for at in range(width):
                    target[at] += weight * shifted[at]


@parallel_kernel(reassociate=True)
def _similarity(blurred, slopes, losses):
    """∂s / ∂(blurred x, x², x y), `slopes` [H, W·9], and each row's Σ 1 - s, `losses` [H, 0]."""
    two, one = np.float32(2), np.float32(1)
    for row in numba.prange(len(blurred)):
        total = 0.0
        for column in range(blurred.shape[1] // 15):
            for c in range(3):
                at = column * 15 + c
                m, xx, xy = blurred[row, at], blurred[row, at + 3], blurred[row, at + 6]
                n, yy = blurred[row, at + 9], blurred[row, at + 12]
                a1, a2 = two * m * n + C1, two * (xy - m * n) + C2
                b1, b2 = m * m + n * n + C1, xx - m * m + yy - n * n + C2
                s = np.divide(a1 * a2, b1 * b2)
                to = column * 9 + c
                slopes[row, to] = two * s * (np.divide(n, a1) - np.divide(n, a2) - np.divide(m, b1) + np.divide(m, b2))
                slopes[row, to + 3] = -np.divide(s, b2)
                slopes[row, to + 6] = np.divide(two * a1, b1 * b2)
                total += one - s
        losses[row, 0] = total


@parallel_kernel(reassociate=True)
def _combine(image, picture, spread, share, gradient, losses):
    """The gradient of both parts, and each row's Σ |x - y|, `losses` [H, 1]."""
    close, alike = np.float32((1 - SIMILARITY) * share), np.float32(SIMILARITY * share)
    two = np.float32(2)
    for row in numba.prange(image.shape[0]):
        total = 0.0
        for column in range(image.shape[1]):
            for c in range(3):
                x, y = image[row, column, c], picture[row, column, c]
                at = column * 9 + c
                similar = spread[row, at] + two * x * spread[row, at + 3] + y * spread[row, at + 6]
                gradient[row, column, c] = np.sign(x - y) * close - alike * similar
                total += abs(x - y)
        losses[row, 1] = total
