"""Procedural materials: tiles that the exemplar denoiser can paint with when there is no photograph."""

from weft.models.materials.catalogue import MATERIALS, Material, render

__all__ = ["MATERIALS", "Material", "render"]
