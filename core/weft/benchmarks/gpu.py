"""How long a mesh texture takes with networks of full size, where the time goes, and against one view at a time.

All of it is measured in one run on one machine, each part after a short run that compiles and loads what is loaded
once. Weights are random (see `gpu_models`). Operations are counted on the device "meta", which knows shapes alone:
convolutions, matrix products and attention of U-Net and ControlNet, a multiplication and an addition being two.
"""

from __future__ import annotations

import platform
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from weft.benchmarks.device_clock import DeviceClock, elapsed, matmul_rate, peak_memory
from weft.benchmarks.gpu_job import Setting, conditioning_of, one_by_one, paint, rendered_depth
from weft.benchmarks.gpu_models import Shape, build, shape_named
from weft.benchmarks.gpu_task import CODEC, NETWORK, WHOLE, Instant, do_task
from weft.errors import InvalidInput, MissingDependency
from weft.models.cards import card_named
from weft.models.networks.compiling import compile_networks
from weft.models.networks.components import Components
from weft.models.networks.image_model import ImageModel
from weft.models.networks.open_model import open_model
from weft.models.networks.view_attention import FRONT_ABOVE

__all__ = ["Row", "machine_of", "measure", "measure_task", "network_operations", "table"]

WARM_STEPS = 6  # at the first of so many, every view also looks at the front: another shape to compile
MOST_VIEWS, MOST_STEPS = 40, 500
LEAST_TEXTURE, MOST_TEXTURE = 16, 8192
RASTERISED, TIED = "rasterise", "synchronise"  # what tying views together costs
NETWORKS = ("network", "decode")  # what the plain way computes, too


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number; `share` is of the whole job, in [0, 1]."""

    what: str
    value: float
    unit: str
    share: float | None = None


def measure(
    name: str, setting: Setting, *, device: torch.device, compiled: bool = False, tiny: bool = False
) -> Iterator[Row]:
    """A row as soon as it is known: the ceiling, the plain way, the job by phases, the task, the comparison."""
    shape = shape_named(name, tiny=tiny)
    _check(shape, setting)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    ceiling = matmul_rate(device, dtype)
    yield Row("large matrix product", ceiling / 1e12, "TFLOP/s")
    components = build(shape, device, dtype)
    yield Row("weights", components.bytes / 2**30, "GiB")
    alone, peak = _plain(components, setting)
    yield Row("one view at a time", alone, "s")
    model = _opened(components, compiled)
    phases = yield from _job(model, setting)
    yield from _task(model, setting)
    operations = network_operations(shape, setting) / 1e12
    yield Row("operations of the networks", operations, "TFLOP")
    yield Row("rate of the networks", operations / phases["network"], "TFLOP/s")
    yield Row("utilisation of the ceiling", 1e14 * operations / phases["network"] / ceiling, "%")
    yield Row("one view at a time / whole job", alone / sum(phases.values()), "×")
    yield Row("one view at a time / networks and decoding", alone / sum(phases[name] for name in NETWORKS), "×")
    yield Row("peak memory of one view at a time", peak, "GiB")


def measure_task(name: str, setting: Setting, *, device: torch.device) -> Iterator[Row]:
    """The whole task around a network that takes no time, by phases."""
    shape = shape_named(name)
    _check(shape, setting)
    yield from _task(Instant(card_named(shape.card), device), setting)


def _task(model: ImageModel, setting: Setting) -> Iterator[Row]:
    do_task(model, replace(setting, steps=WARM_STEPS))
    seconds = do_task(model, setting)
    whole = seconds.pop(WHOLE)
    rest = whole - seconds[NETWORK] - seconds[CODEC]
    yield from (Row(f"task: {name}", own, "s", own / whole) for name, own in seconds.items())
    yield Row("task: all but network and codec", rest, "s", rest / whole)
    yield Row("task: submit to final", whole, "s", 1.0)


def _check(shape: Shape, setting: Setting) -> None:
    """Refuse what would fail after minutes."""
    unit = shape.unit
    if setting.size < unit or setting.size % unit:
        raise InvalidInput(f"views of {setting.size} px", f"choose a multiple of {unit}")
    if not 1 <= setting.views <= MOST_VIEWS or not 1 <= setting.steps <= MOST_STEPS:
        raise InvalidInput(
            f"{setting.views} views, {setting.steps} steps", f"take 1 to {MOST_VIEWS} views and 1 to {MOST_STEPS} steps"
        )
    if not LEAST_TEXTURE <= setting.texture <= MOST_TEXTURE:
        raise InvalidInput(f"a texture of {setting.texture} px", f"choose {LEAST_TEXTURE} to {MOST_TEXTURE}")


def _plain(components: Components, setting: Setting) -> tuple[float, float]:
    """Seconds of all views through diffusers' pipeline, and its peak memory in GiB."""
    depth = rendered_depth(setting)
    one_by_one(components, replace(setting, steps=WARM_STEPS), depth, [0])
    with peak_memory(components.device) as peak:
        seconds = elapsed(components.device, lambda: one_by_one(components, setting, depth, range(setting.views)))
        return seconds, peak() / 2**30


def _opened(components: Components, compiled: bool) -> ImageModel:
    if compiled and (lacking := compile_networks(components)):
        raise MissingDependency(lacking[0], "leave out --compile")
    return open_model(components)


def _job(model: ImageModel, setting: Setting) -> Generator[Row, None, dict[str, float]]:
    """The job's phases; returns their seconds."""
    paint(model, replace(setting, steps=WARM_STEPS), DeviceClock(model.device))
    clock, whole = DeviceClock(model.device), DeviceClock(model.device)
    with peak_memory(model.device) as peak:
        with whole.phase("job"):
            cells = paint(model, setting, clock)
        memory = peak() / 2**30
    if not torch.isfinite(cells).all():
        raise InvalidInput("random weights gave values that are not finite", "take fewer steps")
    phases = clock.seconds()
    total = whole.seconds()["job"]
    phases["rest"] = total - sum(phases.values())
    for name, seconds in phases.items():
        yield Row(name, seconds, "s", seconds / total)
    yield Row("whole job", total, "s", 1.0)
    tied = phases[TIED] + phases[RASTERISED]
    yield Row("synchronisation and rasterisation", tied, "s", tied / total)
    yield Row("peak memory of the job", memory, "GiB")
    return phases


@torch.no_grad()
def network_operations(shape: Shape, setting: Setting) -> float:
    """Floating-point operations of U-Net and ControlNet in the whole job."""
    meta = torch.device("meta")
    model = open_model(build(shape, meta, torch.bfloat16))
    depth = torch.zeros(setting.views, 3, setting.size, setting.size)
    denoiser = model.bind(conditioning_of(depth, setting))
    side = setting.size // model.codec.factor
    latents = torch.empty(setting.views, model.codec.channels, side, side, device=meta)
    total, counted = 0.0, {}
    for level, _ in model.levels.schedule(setting.steps):
        front = model.levels.timestep(level) > FRONT_ABOVE  # the only thing that changes from step to step
        if front not in counted:
            with FlopCounterMode(display=False) as counter:
                denoiser(latents, level)
            counted[front] = float(counter.get_total_flops())
        total += counted[front]
    return total


def machine_of(device: torch.device) -> str:
    """What the numbers are to be read with."""
    software = f"Python {platform.python_version()}, torch {torch.__version__}"
    if device.type != "cuda":
        return f"{platform.machine()} without a GPU, {torch.get_num_threads()} threads of torch; {software}"
    properties = torch.cuda.get_device_properties(device)
    return (
        f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, {properties.multi_processor_count} "
        f"multiprocessors; {software}, CUDA {torch.version.cuda}"
    )


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown: a heading, then the rows."""
    yield "| measured | value | of the job |"
    yield "|---|---:|---:|"
    for row in rows:
        value = f"{row.value:.3g}" if row.value < 1 else f"{row.value:.2f}"
        share = "" if row.share is None else f"{row.share:.1%}"
        yield f"| {row.what} | {f'{value} {row.unit}'.strip()} | {share} |"
