"""Compiled networks: the same result as plain ones, and plain ones where a machine cannot compile.

Compiling takes a minute or two of one core, so what needs it runs with WEFT_TEST_COMPILE=1 alone.
"""

from __future__ import annotations

import os

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from weft.models.cards import CARDS
from weft.models.networks import compiling
from weft.models.networks.batching import Batches
from weft.models.networks.components import Components
from weft.models.networks.image_model import ViewNeighbours
from weft.models.networks.view_attention import ViewAttention

VIEWS = 3


def _components() -> Components:
    torch.manual_seed(3)
    network = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=12, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    cpu = torch.device("cpu")
    return Components(CARDS["sd15"], network.eval(), torch.nn.Identity(), (), (), {}, cpu, torch.float32)


def _run(network: torch.nn.Module, neighbours: ViewNeighbours | None = None, size: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(2 * VIEWS, 4, 8, 8, generator=generator)
    words = torch.randn(2 * VIEWS, 5, 12, generator=generator)

    def evaluate(part: slice) -> torch.Tensor:
        with torch.no_grad():
            return network(latents[part], 500, words[part]).sample

    return Batches(size).run(evaluate, len(latents), together=ViewAttention(network).together(neighbours, 2, 900))


def test_a_machine_that_cannot_compile_runs_the_network_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(*_: object, **__: object) -> None:
        raise RuntimeError("no working C++ compiler\nlooked everywhere")

    monkeypatch.setattr(torch, "compile", impossible)
    compiling._trial.cache_clear()
    components = _components()
    plain = _run(components.network)
    notices = compiling.compile_networks(components)
    compiling._trial.cache_clear()
    assert notices == ["sd15 runs uncompiled, with the same result: no working C++ compiler"]
    assert torch.equal(_run(components.network), plain)


def test_the_blocks_that_repeat_are_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_trial", lambda device: "")
    components = _components()
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda block, **how: compiled.append(type(block).__name__))
    with torch._dynamo.config.patch(recompile_limit=8):
        assert compiling.compile_networks(components) == []
    blocks = [type(module).__name__ for module in components.network.modules()]
    assert sorted(compiled) == sorted(name for name in blocks if name in ("BasicTransformerBlock", "ResnetBlock2D"))
    assert len(compiled) > 5


@pytest.mark.parametrize("foreign", [False, True])
def test_projections_are_fused_unless_others_sit_in_them(foreign: bool) -> None:
    class Other(AttnProcessor2_0):
        """As an IP-Adapter's."""

    network = _components().network
    plain = _run(network)
    layers = [module for module in network.modules() if isinstance(module, Attention)]
    if foreign:
        layers[1].set_processor(Other())  # type: ignore[arg-type]
    compiling._fuse_projections(network)
    assert {layer.fused_projections for layer in layers} == {not foreign}
    assert torch.allclose(_run(network), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif("WEFT_TEST_COMPILE" not in os.environ, reason="compiles for minutes; set WEFT_TEST_COMPILE=1")
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns about itself
def test_compiled_is_as_plain() -> None:
    ring = ViewNeighbours(keys=((2, 0, 1), (0, 1, 2), (1, 2)), front=(0, 0, 0))
    components = _components()
    network = components.network
    plain = [_run(network), _run(network, ring), _run(network, ring, size=2)]
    assert compiling.compile_networks(components) == []
    compiled = [_run(network), _run(network, ring), _run(network, ring, size=2)]
    for a, b in zip(compiled, plain, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)
    counters = torch._dynamo.utils.counters
    assert counters["stats"]["unique_graphs"] > 5
