"""The materials by name, and how one is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput, UnknownName
from weft.models.materials import built, cloth, creature, ground, metal, stone
from weft.models.materials.canvas import Canvas

__all__ = ["MATERIALS", "Material", "render"]


@dataclass(frozen=True, slots=True)
class Material:
    name: str
    words: tuple[str, ...]  # what else people call it; single lower-case words
    description: str
    paint: Callable[[Canvas], np.ndarray]


def _index(*materials: Material) -> dict[str, Material]:
    return {material.name: material for material in materials}


MATERIALS = _index(
    Material("mossy stone", (), "Rounded cobbles with moss in the joints.", stone.mossy_stone),
    Material("bricks", (), "Worn red bricks in sandy mortar.", built.bricks),
    Material("wood planks", (), "Weathered planks with knots and nails.", built.wood_planks),
    Material("marble", (), "White marble with grey and gold veins.", stone.marble),
    Material("rusted metal", (), "Teal paint flaking off rusty iron.", metal.rust),
    Material("woven fabric", (), "Tartan twill.", cloth.woven_fabric),
    Material("leopard fur", (), "Tawny fur with dark rosettes.", creature.leopard),
    Material("dragon scales", (), "Green keeled scales with gold rims.", creature.scales),
    Material("mosaic", (), "Glass and stone tesserae in waves.", built.mosaic),
    Material("lava", (), "Dark crust over glowing cracks.", ground.lava),
    Material("cracked earth", (), "Dried mud plates.", ground.cracked_earth),
    Material("ice", (), "Frozen lake with fractures and bubbles.", ground.ice),
    Material("hammered gold", (), "Gold beaten into round dents.", metal.gold),
    Material("sandstone", (), "Strata of red and yellow sandstone.", stone.sandstone),
    Material("knitted wool", (), "Fair Isle knitting.", cloth.knitwear),
    Material("leather", (), "Grained cognac leather.", cloth.leather),
    Material("grass", (), "A meadow from above.", ground.grass),
    Material("brain coral", (), "Winding rosy ridges.", creature.coral),
    Material("celadon glaze", (), "Jade green glaze with dark crackle.", stone.celadon),
    Material("zebra", (), "Branching black stripes on cream.", creature.zebra),
    Material("bark", (), "Old pine bark with lichen.", creature.bark),
    Material("feathers", (), "Teal and blue plumage with golden tips.", creature.feathers),
    Material("tread plate", (), "Steel tread plate.", metal.tread_plate),
    Material("camouflage", (), "Woodland camouflage on ripstop cloth.", cloth.camouflage),
)


def render(name: str, size: int = 512, seed: int = 0) -> np.ndarray:
    """The material `name` as a seamless tile, float32 [size, size, 3], sRGB in [0, 1].

    Painted at twice the size and box-filtered. The same name and seed show the same pattern at every size.
    """
    if name not in MATERIALS:
        raise UnknownName(f"no material is called {name!r}", f"take one of: {', '.join(MATERIALS)}")
    if not 16 <= size <= 4096:
        raise InvalidInput(f"material size {size} px is outside 16..4096", "256 or 512 px suits the exemplar denoiser")
    painted = np.clip(MATERIALS[name].paint(Canvas(2 * size, seed)), 0, 1)
    return painted.reshape(size, 2, size, 2, 3).mean((1, 3), dtype=np.float32)
