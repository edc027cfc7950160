"""A small picture of what a job made, for galleries. Imported inside the worker only."""

from __future__ import annotations

import numpy as np
from PIL import Image

from weft.errors import WeftError
from weft.io.images import from_bytes, to_bytes
from weft.tasks.gallery import picture_of_meshes, picture_of_splats
from weft_server.received import Received
from weft_wire.jobs.variants import THUMBNAIL

__all__ = ["thumbnail_of"]

LONGEST = 1024  # px of a side
IMAGES = ("panorama", "image")
SERIES = ("frames", "view.images")  # of which the middle one is shown


def thumbnail_of(arrays: dict[str, np.ndarray], made: dict[str, np.ndarray], up: str) -> dict[str, np.ndarray]:
    """The result `made`, as the wire has it, of a job with the inputs `arrays`, as u1 [h, w, 3] by its declared name;
    nothing where there is only a scene, which would have to be rendered, or what cannot be drawn. `up`: of splats, as
    in `splat_texture`."""
    try:
        picture = _picture(arrays, made, up)
    except WeftError:
        picture = None  # say, UVs too small to be drawn from: the result counts, not its picture
    if picture is None:
        return {}
    image = Image.fromarray(picture)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return {THUMBNAIL.name: np.asarray(image)}


def _picture(arrays: dict[str, np.ndarray], made: dict[str, np.ndarray], up: str) -> np.ndarray | None:
    for name in IMAGES:
        if name in made:
            return made[name]
    for name in SERIES:
        if name in made:
            return made[name][len(made[name]) // 2]
    if "splats.dc" in made:
        splats = Received({**arrays, "splats.dc": made["splats.dc"]}, []).splats()
        return to_bytes(picture_of_splats(splats, splats.colors, up))
    if "texture.0" in made:
        textures = [from_bytes(made[name]) for name in made if name.startswith("texture.")]
        meshes = Received({**arrays, **made}, []).meshes()[: len(textures)]  # UVs may have been made here
        return to_bytes(picture_of_meshes(meshes, textures))
    return None
