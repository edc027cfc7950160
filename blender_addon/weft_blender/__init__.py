"""Weft for Blender: textures the selection with a Weft server, and shows the texture on the mesh while it forms."""

from __future__ import annotations

from . import bundled

__all__ = ["bl_info", "register", "unregister"]

# Read by Blender < 4.2, where this is a classic add-on; as an extension, blender_manifest.toml counts.
bl_info = {
    "name": "Weft",
    "description": "Textures meshes with synchronised multi-view diffusion",
    "author": "Weft contributors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "3D Viewport > Sidebar > Weft",
    "category": "Material",
}


def register() -> None:
    """Called by Blender. Raises ImportError with the remedy when a bundled package does not fit."""
    bundled.ensure_importable()
    from . import registration

    registration.register()


def unregister() -> None:
    """Called by Blender."""
    from . import registration

    registration.unregister()
