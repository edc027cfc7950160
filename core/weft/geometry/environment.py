"""Light from all around: an environment map, and how bright it makes a white surface that faces any way.

    E(n)/π = (1/π) ∫ L(ω) max(0, n·ω) dω

is the radiance of a white Lambertian surface; that, not E, is what everything here calls *shading*. Under a light of
radiance 1 from everywhere it is 1, so that image = albedo · shading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.errors import InvalidImage, InvalidInput
from weft.geometry.equirectangular import integrated
from weft.geometry.shading_kernels import lambertian

__all__ = ["LUMINANCE", "Environment"]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (Rec. 709)
SIDES = (2, 8192)  # rows
_QUADRATURE = 32  # rows of cells over which shading is summed: with their first moments that is enough


@dataclass(frozen=True, eq=False)
class Environment:
    """Radiance from every direction: f4 [H, 2H, 3], linear RGB, as `geometry.equirectangular` lays it out (+Z up, the
    middle column along +X, row 0 the zenith). Raises InvalidImage in one line for what is no light."""

    radiance: np.ndarray
    name: str = "the environment map"

    def __post_init__(self) -> None:
        _check(self.radiance, self.name)
        object.__setattr__(self, "radiance", np.ascontiguousarray(self.radiance, np.float32))

    @property
    def height(self) -> int:
        return len(self.radiance)

    @property
    def even(self) -> bool:
        """Whether it is white 1 from everywhere: a picture of things in it is one of their albedo."""
        return bool((self.radiance == 1).all())

    @cached_property
    def mean(self) -> np.ndarray:
        """f8 [3], over all directions; also the mean shading over all normals."""
        return integrated(self.radiance, SIDES[0])[0].sum((0, 1)) / (4 * np.pi)

    def rotated(self, degrees: float) -> Environment:
        """Turned about +Z, counter-clockwise seen from above: 90 takes the light at +X to +Y."""
        if not np.isfinite(degrees):
            raise InvalidInput(f"a light cannot be turned by {degrees}°", "give a finite angle")
        width = self.radiance.shape[1]
        whole, part = divmod(degrees / 360 * width, 1)
        near = np.roll(self.radiance, -int(whole), 1)
        if part < 1e-6:
            return Environment(near, self.name)
        # Linear between columns: every column's light is kept.
        return Environment((1 - part) * near + part * np.roll(near, -1, 1), self.name)

    def exposed(self, ev: float) -> Environment:
        """2^ev times as bright."""
        if not -32 <= ev <= 32:
            raise InvalidInput(f"an exposure of {ev:g} EV is outside -32 to 32", "0 leaves the light as it is")
        return Environment(self.radiance * np.float32(2.0**ev), self.name)

    def downsampled(self, height: int) -> Environment:
        """The mean radiance over each of [height, 2·height] cells, weighted by solid angle: no light is lost."""
        power = integrated(self.radiance, height)[0]
        solid = integrated(np.ones((1, 1, 1)), height)[0]
        return Environment((power / solid).astype(np.float32), self.name)

    def moments(self, height: int) -> np.ndarray:
        """f4 [height, 2·height, 3 colours, 3]: ∫ L ω dω over each cell. n·moment is what a cell wholly above the
        horizon of n adds to E(n), exactly, however unevenly its light is spread."""
        return integrated(self.radiance, height)[1].astype(np.float32)

    def irradiance(self, normals: np.ndarray) -> np.ndarray:
        """The shading E/π f4 [..., 3] of unit `normals` [..., 3], nothing in the way."""
        rows = np.ascontiguousarray(np.asarray(normals, np.float32).reshape(-1, 3))
        out = np.empty_like(rows)
        lambertian(rows, self._cells, out)
        return out.reshape(np.shape(normals))

    @cached_property
    def _cells(self) -> np.ndarray:
        """f4 [3 colours, 3, K]: the moments / π by which shading is summed."""
        moments = self.moments(_QUADRATURE).reshape(-1, 3, 3) / np.float32(np.pi)
        return np.ascontiguousarray(moments.transpose(1, 2, 0))


def _check(radiance: np.ndarray, name: str) -> None:
    if radiance.ndim != 3 or radiance.shape[2] != 3 or radiance.dtype.kind != "f":
        raise InvalidImage(
            f"{name} is {radiance.dtype} of shape {list(radiance.shape)}",
            "expected linear RGB floats [height, width, 3]",
        )
    height, width = radiance.shape[:2]
    if width != 2 * height:
        raise InvalidImage(
            f"{name} is {width}×{height} px, which is no full sphere",
            "give an equirectangular map, twice as wide as high",
        )
    if not SIDES[0] <= height <= SIDES[1]:
        raise InvalidImage(
            f"{name} is {width}×{height} px, expected {SIDES[0]} to {SIDES[1]} rows", "1024×512 px is plenty for light"
        )
    if not np.isfinite(radiance).all():
        broken = int((~np.isfinite(radiance)).any(-1).sum())
        raise InvalidImage(f"{name} holds NaN or infinity in {broken} px", "clamp the sun and export it again")
    if radiance.min() < 0:
        raise InvalidImage(f"{name} holds negative light, down to {radiance.min():.3g}", "clamp it at 0")
    if not radiance.max() > 0:
        raise InvalidImage(f"{name} is black everywhere", "choose a map that holds light")
