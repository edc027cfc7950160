"""Procedural materials: tiles that the exemplar denoiser can paint with when there is no photograph."""

from weft.models.materials.catalogue import MATERIALS, Material, render
from weft.models.materials.choice import Choice, choose_material

__all__ = ["MATERIALS", "Choice", "Material", "choose_material", "render"]
