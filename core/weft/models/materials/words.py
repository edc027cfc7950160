"""Which words mean which material.

`NAMES`: what a material is also called. `KIN`: things that are not there, by the material that comes nearest.
Single lower-case words; endings are removed before comparing, so "mossy" finds "moss".
"""

from __future__ import annotations

__all__ = ["COLOURS", "IGNORED", "KIN", "NAMES"]

NAMES: dict[str, str] = {
    "mossy stone": "moss stone cobble cobblestone rock rubble boulder masonry ruin overgrown",
    "bricks": "brick brickwork",
    "wood planks": "wood plank timber board lumber floorboard",
    "marble": "marble carrara calacatta",
    "rusted metal": "rust rusty corroded corrosion oxidized oxidised iron metal weathered",
    "woven fabric": "fabric cloth tartan plaid textile weave woven twill tweed",
    "leopard fur": "leopard cheetah jaguar fur rosette",
    "dragon scales": "scale scaly dragon reptile lizard snake crocodile serpent",
    "mosaic": "mosaic tesserae tile tiled tiles",
    "lava": "lava magma volcanic volcano molten",
    "cracked earth": "cracked earth mud soil clay desert drought parched ground",
    "ice": "ice icy frozen frost frosty glacier frosted",
    "hammered gold": "gold golden gilded foil hammered",
    "sandstone": "sandstone strata sediment canyon layered",
    "knitted wool": "knit knitted knitting wool woollen woolen sweater jumper yarn crochet",
    "leather": "leather hide pebbled",
    "grass": "grass meadow lawn turf",
    "brain coral": "coral brain labyrinth maze",
    "celadon glaze": "celadon glaze glazed crackle porcelain ceramic pottery china",
    "zebra": "zebra stripe striped",
    "bark": "bark tree trunk pine",
    "feathers": "feather plumage bird parrot macaw peacock wing",
    "tread plate": "tread diamondplate steel chequerplate",
    "camouflage": "camouflage camo army military",
    "oil paint": "painting painterly painted brushstroke impasto gogh impressionism impressionist",
    "watercolour": "watercolor aquarelle gouache",
    "pencil hatching": "hatch hatched crosshatch crosshatching sketch sketched drawing drawn graphite charcoal",
    "stained glass": "leaded window",
}

KIN: dict[str, str] = {
    "mossy stone": "granite basalt slate pebble gravel concrete cement castle dungeon cliff lichen wall path statue",
    "bricks": "terracotta chimney adobe",
    "wood planks": "oak walnut mahogany cedar teak bamboo cherry birch maple parquet deck barrel crate furniture",
    "marble": "alabaster quartz onyx plaster travertine stucco pearl ivory bone paper",
    "rusted metal": "copper bronze patina verdigris ship wreck pipe machine robot scrap junk peeling",
    "woven fabric": "denim jeans cotton linen silk burlap canvas rug carpet tapestry curtain blanket kilt velvet rope",
    "leopard fur": "tiger lion cat panther giraffe hyena hair animal spot spotted dalmatian cow",
    "dragon scales": "fish alligator turtle mermaid armadillo armor armour pangolin dinosaur chainmail shingle roof",
    "mosaic": "roman byzantine bathroom pool gem jewel candy",
    "lava": "fire flame ember hell coal inferno sun burning demon",
    "cracked earth": "dirt dust sand dune moon mars planet asteroid bread cake crust wasteland",
    "ice": "snow crystal water ocean sea lake winter diamond cold",
    "hammered gold": "brass silver chrome treasure coin crown luxury royal metallic tin aluminium aluminum titanium",
    "sandstone": "limestone agate jupiter bacon layer sedimentary rainbow",
    "knitted wool": "sheep lamb scarf mitten sock christmas felt cozy cosy hat",
    "leather": "suede saddle boot shoe skin belt wallet bag rhino rhinoceros elephant toad orc",
    "grass": "moss leaf leaves plant jungle forest hay straw garden field vegetation ivy foliage",
    "brain coral": "reef fungus mushroom sponge flesh worm alien zombie meat",
    "celadon glaze": "jade enamel vase teapot mint raku eggshell",
    "zebra": "finger fingerprint ripple wave skunk optical",
    "bark": "root stump branch log ent chocolate",
    "feathers": "owl eagle duck hummingbird phoenix griffin angel leaves swan",
    "tread plate": "diamond industrial factory floor stainless spaceship truck grating",
    "camouflage": "uniform tank soldier hunting",
    "oil paint": "acrylic brush stroke art artwork artist expressionist picasso monet swirl starry fresco",
    "watercolour": "ink wash tempera pastel pigment stain bleed",
    "pencil hatching": "engraving etching woodcut lithograph comic manga cartoon crayon chalk scribble pen line",
    "stained glass": "church cathedral gothic lantern kaleidoscope",
}

COLOURS: dict[str, str] = {
    "red": "b3261e",
    "crimson": "8f1022",
    "orange": "d9701a",
    "yellow": "e3c11f",
    "gold": "c9972b",
    "golden": "c9972b",
    "green": "3b8a34",
    "emerald": "0f7a52",
    "olive": "6b6b2a",
    "turquoise": "2fb3ab",
    "teal": "14787a",
    "cyan": "35b8d0",
    "blue": "2a5db8",
    "navy": "1b2a5c",
    "purple": "6d35a0",
    "violet": "7a4fc0",
    "magenta": "b82a86",
    "pink": "e58aa8",
    "brown": "6f4526",
    "beige": "d6c3a0",
    "cream": "efe4c8",
    "white": "eeeeec",
    "silver": "b8bdc2",
    "grey": "85888b",
    "gray": "85888b",
    "black": "232326",
}

IGNORED = (
    "a an and are as at by for from in into is it its like made make of on or out over that the this to very with "
    "without texture textured material surface pattern seamless tileable style look looking photo photograph image "
    "picture realistic photorealistic detailed highly high quality resolution old ancient new aged worn dirty clean "
    "dark light bright shiny matte rough smooth polished beautiful big small large tiny fine coarse covered full 4k 8k "
    "hd pbr"
)
