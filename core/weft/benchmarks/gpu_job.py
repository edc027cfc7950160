"""The mesh-texture job of `weft bench gpu`, step by step under a clock, and the same pictures one after the other.

The job is SyncTweedies over latents (Kim et al. 2024): views of a mesh under depth control, a latent
texture that all views share in the first part of the steps, attention between neighbours, then every view decoded and
all of them baked into one texture. The plain way is diffusers' own pipeline, called once for every view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet_union_sd_xl import StableDiffusionXLControlNetUnionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from weft.benchmarks.device_clock import DeviceClock
from weft.benchmarks.torus import torus
from weft.geometry.camera import Camera, frame_object, standard_ring
from weft.methods.synchronized import synchronized
from weft.models.networks.components import Components
from weft.models.networks.image_model import Conditioning, Control, ImageModel
from weft.models.networks.quiet import quietly
from weft.noise import CanonicalNoise, generator
from weft.schedule import NoiseLevel
from weft.spaces.linear import LinearSpace
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, Views, build_space, rasterize_views
from weft.spaces.surface import Surface, build_surface
from weft.tasks.control_images import mesh_controls
from weft.tasks.view_words import neighbours_of

__all__ = ["Setting", "conditioning_of", "one_by_one", "paint", "rendered_depth"]

PROMPT = "a bunny of mossy stone, detailed"
SYNC_UNTIL, BAKE_EXPONENT = 0.8, 6.0  # as tasks have them
RAMP = 1  # latents from a silhouette to full trust
DEPTH_MODE = 1  # of a union net
MESH = (256, 128)  # quads around the torus and across its tube


@dataclass(frozen=True)
class Setting:
    """What is painted. Sizes in px; `size` is a multiple of the model's unit."""

    views: int = 10
    size: int = 768  # of a view's side
    texture: int = 1536  # of the latent texture's side, and of the final one
    steps: int = 30
    attention: bool = True  # views look at their neighbours
    guidance: float = 7.5
    seed: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class _TimedSpace(LinearSpace):
    """Its two directions under a clock."""

    clock: DeviceClock = field(repr=False)

    def project(self, z: Tensor, otherwise: Tensor | None = None) -> Tensor:
        with self.clock.phase("synchronise"):
            return super().project(z, otherwise)

    def aggregate(self, rows: Tensor) -> Tensor:
        with self.clock.phase("synchronise"):
            return super().aggregate(rows)


def paint(model: ImageModel, setting: Setting, clock: DeviceClock) -> Tensor:
    """The whole job; the final texture's cells [cells, 3] in [-1, 1], on the CPU."""
    with clock.phase("texels"):
        surface = build_surface([torus(*MESH)], setting.texture)
    with clock.phase("rasterise"):
        cameras = _cameras(setting)
        seen = _views(surface, cameras), _views(surface, [_scaled(c, model.codec.factor) for c in cameras])
    with clock.phase("spaces"):
        pixels, latents = build_space(surface, seen[0], Trust()), build_space(surface, seen[1], Trust(ramp=RAMP))
        bake, shared = pixels.linear(BAKE_EXPONENT), _timed(latents, clock)
    with clock.phase("conditioning"):
        depth = mesh_controls(("depth",), seen[0], surface)["depth"]
        denoiser = model.bind(conditioning_of(depth, setting))
        source = generator(setting.seed)
        noise = CanonicalNoise(shared.nearest, shared.cells, shared.view_shape)(model.codec.channels, source)
        schedule = model.levels.schedule(setting.steps)
        x0 = x = noise.to(model.device)

    def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
        with clock.phase("network"):
            return denoiser(x, level)

    for step in synchronized(denoise, shared, schedule, x, sync_until=SYNC_UNTIL):
        x0 = step.x0
    with clock.phase("decode"):
        images = model.codec.decode(x0).clamp(-1, 1)
    with clock.phase("bake"):
        return bake.aggregate(bake.rows_of(images)).cpu()


def rendered_depth(setting: Setting) -> Tensor:
    """The control pictures of all views, [N, 3, H, W] in [0, 1]."""
    surface = build_surface([torus(*MESH)], 64)  # its texels are not looked at
    return mesh_controls(("depth",), _views(surface, _cameras(setting)), surface)["depth"]


def _cameras(setting: Setting) -> list[Camera]:
    return frame_object(torus(*MESH).vertices, standard_ring(setting.views), setting.size)


def _views(surface: Surface, cameras: Sequence[Camera]) -> Views:
    return rasterize_views(surface, cameras, jump=0.08 * surface.radius())


def _scaled(camera: Camera, factor: int) -> Camera:
    """The same view at one pixel a latent."""
    return Camera(
        camera.pose, camera.width // factor, camera.height // factor, camera.fx / factor, camera.fy / factor,
        camera.cx / factor, camera.cy / factor, camera.near, camera.orthographic,
    )  # fmt: skip


def _timed(space: MeshTextureSpace, clock: DeviceClock) -> _TimedSpace:
    linear = space.linear(1.0)
    return _TimedSpace(linear.projection, linear.view_shape, linear.gather, linear.fill, clock=clock)


def conditioning_of(depth: Tensor, setting: Setting) -> Conditioning:
    """Words, depth [N, 3, H, W] and neighbours of the views."""
    return Conditioning(
        (PROMPT,) * setting.views,
        guidance=setting.guidance,
        controls=(Control("depth", depth),),
        neighbours=neighbours_of(_cameras(setting), np.zeros(3)) if setting.attention else None,
    )


def one_by_one(components: Components, setting: Setting, depth: Tensor, views: Sequence[int]) -> list[Tensor]:
    """The pictures of some views as most people would make them: diffusers' pipeline, one call for each view."""
    with quietly():
        pipeline, union = _pipeline(components), len(components.text_encoders) > 1
        pipeline.set_progress_bar_config(disable=True)
        pictures = []
        for view in views:
            shown = depth[view : view + 1]
            control = {"control_image": [shown], "control_mode": [DEPTH_MODE]} if union else {"image": shown}
            picture = pipeline(
                PROMPT, negative_prompt="", guidance_scale=setting.guidance, num_inference_steps=setting.steps,
                height=setting.size, width=setting.size, generator=torch.Generator().manual_seed(setting.seed + view),
                output_type="pt", **control,
            )  # fmt: skip
            pictures.append(picture.images)
    return pictures


def _pipeline(components: Components) -> Any:
    (control,) = set(components.controlnets.values())
    parts: dict[str, Any] = {
        "vae": components.vae, "unet": components.network, "controlnet": control,
        "scheduler": DDIMScheduler(**dict(components.scheduler)),
        "tokenizer": components.tokenizers[0], "text_encoder": components.text_encoders[0],
    }  # fmt: skip
    if len(components.text_encoders) == 1:
        unwatched: dict[str, Any] = {"safety_checker": None, "feature_extractor": None}
        return StableDiffusionControlNetPipeline(**parts, **unwatched, requires_safety_checker=False)
    second = {"tokenizer_2": components.tokenizers[1], "text_encoder_2": components.text_encoders[1]}
    return StableDiffusionXLControlNetUnionPipeline(**parts, **second, add_watermarker=False)
