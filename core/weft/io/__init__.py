"""Files: meshes and images in and out, with one clear error for whatever cannot be read or written."""

from weft.io.images import from_bytes, load_image, save_gif, save_image, to_bytes
from weft.io.meshes import MESH_SUFFIXES, load_meshes, save_textured

__all__ = [
    "MESH_SUFFIXES",
    "from_bytes",
    "load_image",
    "load_meshes",
    "save_gif",
    "save_image",
    "save_textured",
    "to_bytes",
]
