"""Files: meshes, splats, cameras and images in and out, with one clear error for whatever cannot be read or written."""

from weft.io.images import from_bytes, load_image, save_gif, save_image, to_bytes
from weft.io.meshes import MESH_SUFFIXES, load_meshes, save_textured
from weft.io.splats import SPLAT_SUFFIXES, SplatFile, load_splats, save_splats
from weft.io.transforms import PosedImages, load_cameras

__all__ = [
    "MESH_SUFFIXES",
    "SPLAT_SUFFIXES",
    "PosedImages",
    "SplatFile",
    "from_bytes",
    "load_cameras",
    "load_image",
    "load_meshes",
    "load_splats",
    "save_gif",
    "save_image",
    "save_splats",
    "save_textured",
    "to_bytes",
]
