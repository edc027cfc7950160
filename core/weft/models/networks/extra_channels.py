"""What some U-Nets read beside the noisy latents, as a table over the width of their first convolution.

| beside 4 | model                         | channels                                                        |
|---|---|---|
| 0        | text to image                 |                                                                 |
| 4        | InstructPix2Pix               | the image's mode, unscaled                                      |
| 5        | inpainting                    | mask, the image without what is repainted                       |
| 12       | Neural Gaffer                 | the object on white, light in high and in low range, unscaled   |
| 13       | Magic Fixup                   | the coarse edit, what of it is known, the image before, noise   |
| 4, light | IC-Light fc                   | the object on grey                                              |
| 8, light | IC-Light fbc                  | the object on grey, the background                              |

IC-Light is told from InstructPix2Pix by its card, which has offsets for the weights of a base.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import ModelMismatch
from weft.models.networks.codec import LatentCodec
from weft.models.networks.guidance import Row, image_and_text, text, together
from weft.models.networks.image_model import Conditioning
from weft.noise import gaussian, generator

__all__ = ["Extra", "extra_of", "on_white"]


@dataclass(frozen=True)
class Extra:
    """One line of the table."""

    needs: frozenset[str]  # fields of a Conditioning
    channels: Callable[[LatentCodec, Conditioning], Tensor] | None  # [N, extra, h, w]
    rows: Callable[[Conditioning], tuple[Row, ...]]  # of guidance


def extra_of(width: int, codec: LatentCodec, *, light: bool) -> Extra:
    """The line for a network whose first convolution reads `width` channels. Raises ModelMismatch."""
    found = _EXTRAS.get((width - codec.channels, light))
    if found is None:
        raise ModelMismatch(
            f"a U-Net that reads {width} channels beside a VAE of {codec.channels} is of no kind known here",
            "text to image reads 4, editing and relighting 8 (or 12, 16, 17), inpainting 9",
        )
    return found


def _text_rows(wanted: Conditioning) -> tuple[Row, ...]:
    return text(wanted.guidance)


def _edit_rows(wanted: Conditioning) -> tuple[Row, ...]:
    return image_and_text(wanted.guidance, wanted.image_guidance)


def _image_modes(codec: LatentCodec, wanted: Conditioning) -> Tensor:
    return codec.modes(_given(wanted.image))


def _masked(codec: LatentCodec, wanted: Conditioning) -> Tensor:
    """Mask 1 where is repainted, looked up at the latents' size, and the image with grey there."""
    repainted = (_given(wanted.mask) >= 0.5).float()
    latents = codec.encode(_given(wanted.image) * (1 - repainted))
    return torch.cat([functional.interpolate(repainted, size=latents.shape[-2:]).to(latents.device), latents], dim=1)


def _object(codec: LatentCodec, wanted: Conditioning) -> Tensor:
    """Mask 1 where the object is; grey 127 of 255 is 0 here."""
    return codec.encode(_given(wanted.image) * _given(wanted.mask))


def _object_and_background(codec: LatentCodec, wanted: Conditioning) -> Tensor:
    return torch.cat([_object(codec, wanted), codec.encode(_given(wanted.background))], dim=1)


def on_white(wanted: Conditioning) -> Tensor:
    """[N, 3, H, W]: the object, mask 1, before white."""
    mask = _given(wanted.mask)
    return _given(wanted.image) * mask + (1 - mask)


def _object_and_light(codec: LatentCodec, wanted: Conditioning) -> Tensor:
    high, low = _given(wanted.surroundings).split(3, dim=1)
    return torch.cat([codec.modes(shown) for shown in (on_white(wanted), high, low)], dim=1)


def _edit_and_before(codec: LatentCodec, wanted: Conditioning) -> Tensor:
    """Mask 1 where the edit has a hole. The noise is the same for all views and every time."""
    edit, before = codec.encode(_given(wanted.image)), codec.encode(_given(wanted.before))
    known = functional.interpolate(1 - _given(wanted.mask), size=edit.shape[-2:], mode="bilinear", antialias=True)
    noise = gaussian((1, *edit.shape[1:]), generator(0)).expand(len(edit), -1, -1, -1)
    return torch.cat([edit, known.to(edit), before, noise.to(edit)], dim=1)


def _together_rows(wanted: Conditioning) -> tuple[Row, ...]:
    return together(wanted.guidance)


def _given(picture: Tensor | None) -> Tensor:
    assert picture is not None, "checked by check_conditioning"
    return picture


_EXTRAS = {
    (0, False): Extra(frozenset(), None, _text_rows),
    (4, False): Extra(frozenset({"image"}), _image_modes, _edit_rows),
    (5, False): Extra(frozenset({"image", "mask"}), _masked, _text_rows),
    (12, False): Extra(frozenset({"image", "mask", "surroundings"}), _object_and_light, _together_rows),
    (13, False): Extra(frozenset({"image", "mask", "before"}), _edit_and_before, _text_rows),
    (4, True): Extra(frozenset({"image", "mask"}), _object, _text_rows),
    (8, True): Extra(frozenset({"image", "mask", "background"}), _object_and_background, _text_rows),
}
