"""What a scene from a material is worth: whether it has the proxy's silhouette and looks like the material."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.metrics import eroded, patch_distance, relative_sharpness
from weft.scenes.scene import Scene
from weft.tasks.proxy_views import ProxyViews
from weft.tasks.sheet import sheet

__all__ = ["contact_sheet", "measures"]

_SHOWN = 6  # views on the sheet
_VISIBLE = 0.5  # opacity from which a pixel shows the scene


def measures(scene: Scene, proxy: ProxyViews, renders: np.ndarray, picture: np.ndarray | None) -> dict[str, Any]:
    """`silhouette`: what proxy and scene cover together over what either covers, 1 is ideal. With a `picture`
    f4 [h, w, 3], the material at the scale shown: `patch_distance` to it, 0 is ideal, and `sharpness` over its own;
    None where views show too little."""
    covered = np.stack([scene.render(camera).opacity >= _VISIBLE for camera in proxy.inside])
    both, either = (covered & proxy.masks).sum(), (covered | proxy.masks).sum()
    values: dict[str, Any] = {"silhouette": round(float(both / max(either, 1)), 4)}
    if picture is None:
        return values
    shown = [i for i, mask in enumerate(proxy.masks) if eroded(mask, 4).any()]
    images, masks = [renders[i] for i in shown], [eroded(proxy.masks[i], 1) for i in shown]
    for name, measure in (
        ("patch_distance", lambda: patch_distance(images, [picture], masks)),
        ("sharpness", lambda: relative_sharpness(images, masks, picture)),
    ):
        try:
            values[name] = round(measure(), 4)
        except InvalidInput:
            values[name] = None
    return values


def contact_sheet(proxy: ProxyViews, renders: np.ndarray, color: np.ndarray, picture: np.ndarray | None) -> np.ndarray:
    """f4 [H, W, 3]: the proxy over what became of it."""
    chosen = np.linspace(0, len(renders), _SHOWN, endpoint=False).astype(int)
    before = proxy.shaded(color)
    last = [] if picture is None else [("material", picture)]
    return sheet(
        [
            [*((f"proxy, view {i + 1}", before[i]) for i in chosen), *last],
            [("the scene", renders[i]) for i in chosen],
        ]
    )
