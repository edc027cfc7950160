"""A server whose texture task costs nothing: it streams 1024² previews at a steady pace, fails or waits as told.

    python practice_texture.py HOME

The real task decides how fast previews come and how large they are; what the add-on makes of the worst case, and of
jobs that end badly, needs one that obeys. The prompt says what to do: "stream", "refuse", "die", "wait".
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.tasks.events import Event, Preview, Progress, Result, Warning

PREVIEW = 1024  # pixels


def texture(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    prompt = params["prompt"]
    if prompt == "refuse":
        raise InvalidInput("no material is called 'refuse'", "try 'stone'")
    if prompt == "die":
        os._exit(9)
    objects = len([name for name in arrays if name.endswith(".vertices")])
    yield Warning("this is practice", "nothing is at stake")
    for step in range(1, params["steps"] + 1):
        time.sleep(0.1 if prompt == "stream" else 1.0 if prompt == "wait" else 0.0)
        yield Progress("denoising", step, params["steps"])
        for index in range(objects):
            yield Preview(index, gradient(PREVIEW, step / params["steps"]), step, params["steps"])
    textures = {
        f"texture.{index}": (255 * gradient(params["texture_size"], index / 8)).astype(np.uint8)
        for index in range(objects)
    }
    material = {"name": "practice", "asked": prompt, "exact": False, "note": "no material fits; a photograph would"}
    yield Result(textures, {"material": material, "coverage": 0.98, "labels": labels})


def gradient(side: int, blue: float) -> np.ndarray:
    """f4 [side, side, 3]: red to the right, green to the bottom."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    return np.stack([x, y, np.full_like(x, blue)], axis=-1)


RUNNERS = {"texture": texture}


def capabilities() -> dict[str, Any]:
    return {"device": "practice", "models": []}


def warm_up() -> None:
    """Nothing to load."""


if __name__ == "__main__":
    from weft_server.options import ServerOptions
    from weft_server.server import Server

    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the worker imports this module by its name
    Server(ServerOptions(home=Path(sys.argv[1]), port=0, runners="practice_texture")).serve(threading.Event())
