"""A golden ball on mossy stone and its mask: what docs/pictures/backgrounds.jpg was made from.

python scripts/draw_backgrounds.py FOLDER        writes ball.png and ball_mask.png there
python scripts/draw_backgrounds.py FOLDER OUT    joins them with what was made of them there, by

weft backgrounds ball.png --mask ball_mask.png --optimize 10 -o own.png
weft backgrounds ball.png --mask ball_mask.png --optimize 10 -o bricks.png --prompt "old bricks"
weft backgrounds ball.png --mask ball_mask.png --optimize 10 -o earth.png --prompt "cracked earth"
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from weft.io.images import load_image, save_image
from weft.models.materials import choose_material
from weft.tasks.full_size import fitted
from weft.tasks.material_tile import material_tile

SIDE, FINE = 320, 4  # px; samples of a pixel along each axis
RADIUS = 0.3  # of the side
LIGHT = np.array([-0.5, -0.6, 0.62])  # towards it: right, down, towards the eye
ROWS = ("own", "bricks", "earth")


def ball() -> tuple[np.ndarray, np.ndarray]:
    """The picture f4 [SIDE, SIDE, 3] and the mask bool [SIDE, SIDE]."""
    across = (np.arange(SIDE * FINE) + 0.5) / (SIDE * FINE) - 0.5
    x, y = np.meshgrid(across / RADIUS, across / RADIUS)
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    gold, moss = (material_tile(choose_material(name)) for name in ("hammered gold", "mossy stone"))
    turn, tilt = np.arctan2(x, z), np.arcsin(np.clip(y, -1, 1))
    skin = gold[(tilt * 220).astype(int) % len(gold), (turn * 220).astype(int) % gold.shape[1]]
    light = LIGHT / np.linalg.norm(LIGHT)
    shade = 0.25 + 0.85 * np.clip(light[0] * x + light[1] * y + light[2] * z, 0, 1)
    rows, columns = np.mgrid[: SIDE * FINE, : SIDE * FINE] * len(moss) // (SIDE * FINE)
    drawn = np.where(inside[..., None], skin * shade[..., None], moss[rows, columns]).clip(0, 1)
    pixels = drawn.reshape(SIDE, FINE, SIDE, FINE, 3).mean((1, 3), dtype=np.float64).astype(np.float32)
    return pixels, inside.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3)) > 0.5


def main() -> None:
    folder = Path(sys.argv[1])
    if len(sys.argv) == 2:
        picture, mask = ball()
        save_image(folder / "ball.png", picture)
        save_image(folder / "ball_mask.png", np.repeat(mask[..., None], 3, 2).astype(np.float32))
        return
    before = load_image(folder / "ball.png")
    rows = [[before, *(load_image(folder / f"{name}_{i}.png") for i in (1, 2, 3, 4))] for name in ROWS]
    joined = [np.concatenate(fitted(np.stack(row), 240, 240), 1) for row in rows]
    save_image(sys.argv[2], np.concatenate(joined))


if __name__ == "__main__":
    main()
