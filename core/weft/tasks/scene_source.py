"""Scenes as jobs are given them, a scene file or splats, made ready to be rendered, edited or trained further."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weft.errors import UnknownName
from weft.geometry.splats import Splats, check_splats
from weft.io.scene_files import SceneInfo, read_scene, scene_bytes
from weft.scenes.frame import SceneFrame
from weft.scenes.kinds import KINDS, splat_class
from weft.scenes.layouts import check_layout
from weft.scenes.scene import Scene
from weft.scenes.splats import SplatScene

__all__ = ["BACKGROUNDS", "OpenScene", "background_of", "open_scene", "scene_array"]

BACKGROUNDS = {"grey": 0.5, "white": 1.0, "black": 0.0}


@dataclass(frozen=True, eq=False)
class OpenScene:
    """A scene in its own frame. `given` are the splats that it was made of, in the world; None for a scene file."""

    scene: Scene
    frame: SceneFrame
    info: SceneInfo
    given: Splats | None = None
    start: Splats | None = None  # `given` as the scene itself tells of them before anything happens

    def splats(self) -> Splats | None:
        """The scene as it is now, in the world; None for a NeRF. Of given splats, every parameter that did not change
        keeps its bytes."""
        if not isinstance(self.scene, SplatScene):
            return None
        now = self.scene.splats()
        moved = self.frame.out_of_splats(now)
        if self.given is None or self.start is None or now.count != self.given.count:
            return moved
        kept = {
            name: _kept(getattr(moved, name), getattr(self.given, name), getattr(now, name), getattr(self.start, name))
            for name in ("means", "quaternions", "log_scales", "logits")
        }
        if now.sh.shape != self.given.sh.shape:
            return replace(moved, **kept)
        bands = [  # f_dc does not turn with the frame, the bands above do, together
            _kept(moved.sh[:, some], self.given.sh[:, some], now.sh[:, some], self.start.sh[:, some])
            for some in (slice(0, 1), slice(1, None))
        ]
        return replace(moved, **kept, sh=np.concatenate(bands, 1))


def _kept(moved: np.ndarray, given: np.ndarray, now: np.ndarray, start: np.ndarray) -> np.ndarray:
    """`moved` [N, …], but `given` in the rows in which `now` is still `start`."""
    same = (now == start).reshape(len(now), -1).all(1)
    return np.where(same.reshape(-1, *[1] * (given.ndim - 1)), given, moved)


def background_of(name: str, automatic: str = "grey") -> tuple[float, ...]:
    """Three of sRGB. Raises UnknownName."""
    name = automatic if name == "automatic" else name
    if name not in BACKGROUNDS:
        raise UnknownName(f"no background is called {name!r}", f"choose one of automatic, {', '.join(BACKGROUNDS)}")
    return (BACKGROUNDS[name],) * 3


def open_scene(
    source: np.ndarray | bytes | Splats, *, frame: SceneFrame | None = None, background: str = "automatic"
) -> OpenScene:
    """`source`: the bytes of a scene file (or u1 [B]), or splats in their file's world.

    `frame` and `background` are for splats: their scene's frame (the world itself, if none is given; trained splats
    want `frame_of` their cameras) and what lies behind them (automatic: grey). A scene file has both. Raises
    InvalidInput for what is no sound scene.
    """
    if isinstance(source, Splats):
        check_splats(source)
        frame = frame or SceneFrame(np.eye(4))
        behind = np.array(background_of(background), np.float32)
        scene = splat_class().from_splats(frame.into_splats(source), behind)
        return OpenScene(scene, frame, SceneInfo(frame.matrix), source, scene.splats())
    file = read_scene(source if isinstance(source, bytes) else np.ascontiguousarray(source).tobytes())
    check_layout(file.kind, file.arrays)
    made_of = splat_class() if file.kind == "splats" else KINDS[file.kind]
    scene = made_of.from_arrays(file.arrays)
    return OpenScene(scene, SceneFrame(file.info.frame), file.info)


def scene_array(scene: Scene, info: SceneInfo) -> np.ndarray:
    """u1 [B], the scene as a file: the result `scene` of tasks, and what checkpoints hold."""
    return np.frombuffer(scene_bytes(scene.kind, scene.arrays(), info), np.uint8)
