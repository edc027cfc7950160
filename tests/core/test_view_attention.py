"""Views that attend to each other, against diffusers' own processors and a plain loop over the views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from weft.errors import InvalidInput
from weft.models.networks.batching import Batches
from weft.models.networks.image_model import ViewNeighbours
from weft.models.networks.view_attention import FRONT_ABOVE, ViewAttention

VIEWS, BRANCHES = 6, 2
RING = ViewNeighbours(  # four views around, and two raised ones that see the front or the back
    keys=((3, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 0), (0, 4), (2, 5)), front=(0,) * VIEWS
)
SELF = ViewNeighbours(keys=tuple((view,) for view in range(VIEWS)), front=tuple(range(VIEWS)))
NOISY, CLEAR = FRONT_ABOVE + 1.0, float(FRONT_ABOVE)


@pytest.fixture(scope="module")
def network() -> UNet2DConditionModel:
    torch.manual_seed(3)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=12, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in unet.parameters():  # strong enough that attention matters
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return unet.eval()


@pytest.fixture(scope="module")
def evaluate(network: UNet2DConditionModel) -> Callable[[slice], torch.Tensor]:
    return _evaluation(network, *_inputs())


def _inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    count = BRANCHES * VIEWS
    return torch.randn(count, 4, 8, 8, generator=generator), torch.randn(count, 5, 12, generator=generator)


def _evaluation(
    network: UNet2DConditionModel, latents: torch.Tensor, words: torch.Tensor
) -> Callable[[slice], torch.Tensor]:
    def evaluate(part: slice) -> torch.Tensor:
        with torch.no_grad():
            return network(latents[part], 500, words[part]).sample

    return evaluate


class _Loop:
    """The plain way: sample after sample, diffusers' own processor with the tokens of the others as its words."""

    def __init__(self, neighbours: ViewNeighbours, front: bool) -> None:
        self.neighbours, self.front = neighbours, front

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
        results = []
        for sample, tokens in enumerate(hidden_states):
            branch, view = divmod(sample, VIEWS)
            own = hidden_states[branch * VIEWS : (branch + 1) * VIEWS]
            result = self.attend(attn, tokens, [own[other] for other in self.neighbours.keys[view]])
            if self.front:
                result = (result + self.attend(attn, tokens, [own[self.neighbours.front[view]]])) / 2
            results.append(result)
        return torch.cat(results)

    def attend(self, attn: Attention, tokens: torch.Tensor, others: Sequence[torch.Tensor]) -> torch.Tensor:
        return AttnProcessor2_0()(attn, tokens[None], torch.cat(list(others))[None])


def _run(network: UNet2DConditionModel, evaluate, neighbours: ViewNeighbours | None, t: float, size: int = 0):
    together = ViewAttention(network).together(neighbours, BRANCHES, t)
    return Batches(size).run(evaluate, BRANCHES * VIEWS, together=together)


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("t", [NOISY, CLEAR])
def test_views_see_what_a_plain_loop_shows_them(network, evaluate, t: float) -> None:
    together = _run(network, evaluate, RING, t)
    stock = network.attn_processors
    network.set_attn_processor({k: _Loop(RING, t == NOISY) if "attn1" in k else p for k, p in stock.items()})
    plain = evaluate(slice(0, BRANCHES * VIEWS))
    network.set_attn_processor(stock)
    assert _close(together, plain)
    assert (together - evaluate(slice(0, BRANCHES * VIEWS))).abs().max() > 0.01  # it is not the network as it was


def test_off_is_the_network_as_it_was(network, evaluate) -> None:
    before = evaluate(slice(0, BRANCHES * VIEWS))
    assert torch.equal(_run(network, evaluate, None, NOISY), before)
    _run(network, evaluate, RING, NOISY)
    assert torch.equal(evaluate(slice(0, BRANCHES * VIEWS)), before)
    assert {type(processor) for processor in network.attn_processors.values()} == {AttnProcessor2_0}


@pytest.mark.parametrize("t", [NOISY, CLEAR])
def test_views_that_see_only_themselves_are_as_before(network, evaluate, t: float) -> None:
    assert _close(_run(network, evaluate, SELF, t), evaluate(slice(0, BRANCHES * VIEWS)))


@pytest.mark.parametrize("t", [NOISY, CLEAR])
@pytest.mark.parametrize("size", [1, 4, 5, 7, 11])
def test_cutting_the_batch_changes_nothing(network, evaluate, t: float, size: int) -> None:
    parts = _run(network, evaluate, RING, t, size)
    assert _close(parts, _run(network, evaluate, RING, t))
    assert torch.equal(parts, _run(network, evaluate, RING, t, size))


@pytest.mark.parametrize("size", [3, 12])
def test_memory_running_out_in_the_middle_of_the_network_changes_nothing(network, evaluate, size: int) -> None:
    latents, words = _inputs()

    def narrow(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) >= size:
            raise torch.OutOfMemoryError("CUDA out of memory")

    batches = Batches()
    together = ViewAttention(network).together(RING, BRANCHES, NOISY)
    hook = network.mid_block.register_forward_pre_hook(narrow)
    try:
        result = batches.run(_evaluation(network, latents, words), BRANCHES * VIEWS, together=together)
    finally:
        hook.remove()
    assert _close(result, _run(network, evaluate, RING, NOISY))
    assert len(batches.notices) == 1
    assert {type(processor) for processor in network.attn_processors.values()} == {AttnProcessor2_0}


def test_identical_views_stay_identical(network) -> None:
    latents, words = _inputs()
    same = _evaluation(network, latents[:1].expand_as(latents), words[:1].expand_as(words))
    result = _run(network, same, RING, NOISY)
    assert _close(result, result[:1].expand_as(result))


def test_another_order_of_the_views_gives_the_results_in_that_order(network, evaluate) -> None:
    order = [4, 0, 2, 5, 1, 3]
    place = [order.index(view) for view in range(VIEWS)]
    moved = ViewNeighbours(
        keys=tuple(tuple(place[other] for other in RING.keys[view]) for view in order),
        front=tuple(place[RING.front[view]] for view in order),
    )
    samples = [branch * VIEWS + view for branch in range(BRANCHES) for view in order]
    latents, words = _inputs()
    result = _run(network, _evaluation(network, latents[samples], words[samples]), moved, NOISY)
    assert _close(result, _run(network, evaluate, RING, NOISY)[samples])


def test_only_those_that_see_a_view_change_with_it(network, evaluate) -> None:
    before = _run(network, evaluate, RING, CLEAR)

    def touched_by(view: int) -> list[int]:
        latents, words = _inputs()
        latents[view] += 1
        change = _run(network, _evaluation(network, latents, words), RING, CLEAR) - before
        return change.flatten(1).abs().amax(1).gt(1e-4).nonzero().flatten().tolist()

    assert touched_by(5) == [5]  # nobody sees it
    assert touched_by(VIEWS + 4) == [VIEWS + 4]
    assert touched_by(2) == [0, 1, 2, 3, 4, 5]  # through its neighbours, layer by layer; never the other branch


def test_only_self_attention_of_the_network_is_replaced(network) -> None:
    seen: dict[str, str] = {}

    def look(part: slice) -> torch.Tensor:
        seen.update({name: type(processor).__name__ for name, processor in network.attn_processors.items()})
        return torch.zeros(part.stop - part.start)

    _run(network, look, RING, NOISY)
    assert {name for name, kind in seen.items() if kind != "AttnProcessor2_0"} == {k for k in seen if "attn1" in k}


def test_fused_projections_are_followed(network, evaluate) -> None:
    expected = _run(network, evaluate, RING, NOISY)
    network.fuse_qkv_projections()
    try:
        assert _close(_run(network, evaluate, RING, NOISY), expected)
    finally:
        network.unfuse_qkv_projections()
        for module in network.modules():
            if isinstance(module, Attention):
                module.fused_projections = False


@pytest.mark.parametrize(
    "neighbours",
    [
        ViewNeighbours(keys=RING.keys, front=(0,) * 5),
        ViewNeighbours(keys=(*RING.keys[:5], (6,)), front=RING.front),
        ViewNeighbours(keys=(*RING.keys[:5], ()), front=RING.front),
        ViewNeighbours(keys=RING.keys[:4], front=(0,) * 4),
    ],
)
def test_neighbours_that_do_not_fit_the_views_are_refused(network, evaluate, neighbours: ViewNeighbours) -> None:
    with pytest.raises(InvalidInput) as caught:
        _run(network, evaluate, neighbours, CLEAR)
    assert caught.value.hint
