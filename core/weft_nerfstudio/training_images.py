"""The training images of nerfstudio's data managers, where they can be looked at and replaced.

A manager of whole images keeps a list of dictionaries, one a view; a manager of rays one collated dictionary, in an
order of its own. Both hand the same tensors out again in every step, so that what is written into them is learned.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput

__all__ = ["TrainingImages", "images_of", "scaled"]


class TrainingImages(Protocol):
    """View numbers are those of the manager's `train_dataset.cameras`."""

    def __len__(self) -> int: ...

    def get(self, view: int) -> np.ndarray:
        """f4 [H, W, 3] sRGB in [0, 1], what is transparent over white."""
        ...

    def put(self, view: int, picture: np.ndarray) -> None:
        """Have `picture` f4 [H, W, 3] in [0, 1] learned instead, where the image was not transparent."""
        ...


def images_of(manager: Any) -> TrainingImages:
    """Those of a `FullImageDatamanager` or a `VanillaDataManager`. Raises InvalidInput for others: a
    `ParallelDataManager` has its images in other processes."""
    if hasattr(manager, "cached_train"):
        return _Listed(manager)
    if hasattr(manager, "train_image_dataloader"):
        return _Collated(manager)
    raise InvalidInput(
        f"{type(manager).__name__} keeps its images where they cannot be replaced",
        "use FullImageDatamanager or VanillaDataManager",
    )


class _Listed:
    def __init__(self, manager: Any) -> None:
        self._views = manager.cached_train

    def __len__(self) -> int:
        return len(self._views)

    def get(self, view: int) -> np.ndarray:
        return _read(self._views[view]["image"])

    def put(self, view: int, picture: np.ndarray) -> None:
        self._views[view]["image"] = _written(self._views[view]["image"], picture)


class _Collated:
    def __init__(self, manager: Any) -> None:
        loader = manager.train_image_dataloader
        if not loader.cache_all_images:
            raise InvalidInput(
                "only some of the training images are kept, and others are loaded unedited",
                "leave train-num-images-to-sample-from at -1",
            )
        self._batch = loader.cached_collated_batch
        self._place = {int(view): place for place, view in enumerate(self._batch["image_idx"])}

    def __len__(self) -> int:
        return len(self._place)

    def get(self, view: int) -> np.ndarray:
        return _read(self._batch["image"][self._place[view]])

    def put(self, view: int, picture: np.ndarray) -> None:
        # A list where sizes differ, else one tensor: both take an item.
        place = self._place[view]
        self._batch["image"][place] = _written(self._batch["image"][place], picture)


def _read(image: Tensor) -> np.ndarray:
    values = image.detach().cpu().float()
    if image.dtype == torch.uint8:
        values = values / 255
    if values.shape[-1] == 4:
        values = values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
    return values.numpy()


def _written(image: Tensor, picture: np.ndarray) -> Tensor:
    """`picture` in the type and on the device of the `image` whose place it takes, with its transparency."""
    values = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).clamp(0, 1)
    if image.dtype == torch.uint8:
        values = (values * 255).round()
    values = values.to(image.dtype).to(image.device)
    return torch.cat([values, image[..., 3:]], -1)


def scaled(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """`pictures` f4 [N, H, W, 3] at another size, without aliases."""
    if pictures.shape[1:3] == (height, width):
        return pictures
    planes = torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).permute(0, 3, 1, 2)
    planes = functional.interpolate(planes, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return planes.permute(0, 2, 3, 1).clamp(0, 1).numpy()
