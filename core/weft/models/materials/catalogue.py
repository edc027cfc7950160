"""The materials by name, and how one is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput, UnknownName
from weft.models.materials import built, cloth, creature, ground, metal, painted, stone
from weft.models.materials.canvas import Canvas, rgb
from weft.models.materials.tint import tinted
from weft.models.materials.words import COLOURS

__all__ = ["MATERIALS", "Material", "render"]


@dataclass(frozen=True, slots=True)
class Material:
    name: str
    colours: str  # the colour words that are true of it as it is
    description: str
    paint: Callable[[Canvas], np.ndarray]


def _index(*materials: Material) -> dict[str, Material]:
    return {material.name: material for material in materials}


MATERIALS = _index(
    Material("mossy stone", "green grey gray", "Rounded cobbles with moss in the joints.", stone.mossy_stone),
    Material("bricks", "red brown orange", "Worn red bricks in sandy mortar.", built.bricks),
    Material("wood planks", "brown beige", "Weathered planks with knots and nails.", built.wood_planks),
    Material("marble", "white gold golden", "White marble with grey and gold veins.", stone.marble),
    Material("rusted metal", "orange brown teal turquoise", "Teal paint flaking off rusty iron.", metal.rust),
    Material("woven fabric", "red", "Tartan twill.", cloth.woven_fabric),
    Material("leopard fur", "beige yellow golden", "Tawny fur with dark rosettes.", creature.leopard),
    Material("dragon scales", "green emerald", "Green keeled scales with gold rims.", creature.scales),
    Material("mosaic", "turquoise", "Glass and stone tesserae in waves.", built.mosaic),
    Material("lava", "red orange black", "Dark crust over glowing cracks.", ground.lava),
    Material("cracked earth", "brown beige", "Dried mud plates.", ground.cracked_earth),
    Material("ice", "blue cyan white", "Frozen lake with fractures and bubbles.", ground.ice),
    Material("hammered gold", "gold golden yellow", "Gold beaten into round dents.", metal.gold),
    Material("sandstone", "orange beige yellow", "Strata of red and yellow sandstone.", stone.sandstone),
    Material("knitted wool", "white cream", "Fair Isle knitting.", cloth.knitwear),
    Material("leather", "brown orange", "Grained cognac leather.", cloth.leather),
    Material("grass", "green", "A meadow from above.", ground.grass),
    Material("brain coral", "pink", "Winding rosy ridges.", creature.coral),
    Material("celadon glaze", "green", "Jade green glaze with dark crackle.", stone.celadon),
    Material("zebra", "black white", "Branching black stripes on cream.", creature.zebra),
    Material("bark", "brown", "Old pine bark with lichen.", creature.bark),
    Material("feathers", "blue teal turquoise", "Teal and blue plumage with golden tips.", creature.feathers),
    Material("tread plate", "grey gray silver", "Steel tread plate.", metal.tread_plate),
    Material("camouflage", "green olive", "Woodland camouflage on ripstop cloth.", cloth.camouflage),
    Material("oil paint", "blue teal yellow gold golden cream", "Swirling strokes of thick paint.", painted.oil_paint),
    Material("watercolour", "white beige blue purple violet", "Washes on rough paper.", painted.watercolour),
    Material("pencil hatching", "black grey gray white", "Graphite, hatched and crossed.", painted.pencil_hatching),
    Material("stained glass", "red blue orange yellow green", "Panes of glass in lead.", painted.stained_glass),
)


def render(name: str, size: int = 512, seed: int = 0, tint: str | None = None) -> np.ndarray:
    """The material `name` as a seamless tile, float32 [size, size, 3], sRGB in [0, 1], in the colour `tint` if given.

    Painted at twice the size and box-filtered. The same name and seed show the same pattern at every size.
    """
    if name not in MATERIALS:
        raise UnknownName(f"no material is called {name!r}", f"take one of: {', '.join(MATERIALS)}")
    if tint is not None and tint not in COLOURS:
        raise UnknownName(f"no colour is called {tint!r}", f"take one of: {', '.join(COLOURS)}")
    if not 16 <= size <= 4096:
        raise InvalidInput(f"material size {size} px is outside 16..4096", "256 or 512 px suits the exemplar denoiser")
    painted = np.clip(MATERIALS[name].paint(Canvas(2 * size, seed)), 0, 1)
    tile = painted.reshape(size, 2, size, 2, 3).mean((1, 3), dtype=np.float32)
    return tile if tint is None else tinted(tile, rgb(COLOURS[tint]))
