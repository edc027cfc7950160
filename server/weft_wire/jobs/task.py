"""What the declaration of a job consists of, and how what a client sends is held to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft_wire.arrays import ArrayRef, ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import variants

__all__ = ["Task", "check_inputs", "group_of"]


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of job. `dimensions`: least and greatest size of every named dimension; `together`: names that only
    make sense in company; `least`: how many objects of a kind ("mesh") there must be, if not one; `check(params,
    names)` raises what no single field can know; `resumes`: inputs that a checkpoint's arrays take the place of when
    the job begins again. Jobs that may be variants of a gallery take its arrays, too, and
    return a thumbnail."""

    name: str
    help: str
    params: type[Any]
    inputs: tuple[ArraySpec, ...]
    results: tuple[ArraySpec, ...]
    dimensions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    together: tuple[tuple[str, ...], ...] = ()
    least: Mapping[str, int] = field(default_factory=dict)
    check: Callable[[Any, frozenset[str]], None] = lambda params, names: None
    resumes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.has_variants:
            object.__setattr__(self, "inputs", (*self.inputs, *variants.ARRAYS))
            object.__setattr__(self, "results", (*self.results, variants.THUMBNAIL))
            object.__setattr__(self, "dimensions", {**self.dimensions, **variants.DIMENSIONS})

    @property
    def has_variants(self) -> bool:
        """Whether such jobs may be variants of a gallery."""
        return issubclass(self.params, variants.VariantParams)

    def spec_of(self, name: str) -> ArraySpec:
        """The declaration behind the array `name`; unknown names raise."""
        for spec in self.inputs:
            if spec.matches(name):
                return spec
        known = ", ".join(spec.name for spec in self.inputs)
        raise WireError("invalid_array", f"{name!r} is no input of {self.name}", f"its inputs: {known}")


def check_inputs(task: Task, params: Any, refs: Iterable[ArrayRef]) -> dict[str, dict[str, int]]:
    """Check names, types and shapes without touching a byte; return the dimensions of every group of arrays."""
    groups: dict[str, dict[str, int]] = {}
    by_name: dict[str, ArrayRef] = {}
    for ref in refs:
        if ref.name in by_name:
            raise WireError("invalid_array", f"{ref.name} is given twice", "give every array once")
        by_name[ref.name] = ref
        _fit_shape(task, ref, groups.setdefault(group_of(ref.name), {}))
    _check_company(task, by_name)
    if isinstance(params, variants.VariantParams):
        variants.check_variant(params, {name: ref.shape for name, ref in by_name.items()})
    task.check(params, frozenset(by_name))
    return groups


def group_of(name: str) -> str:
    """Arrays whose names agree up to the last dot share their dimensions."""
    return name.rpartition(".")[0]


def _fit_shape(task: Task, ref: ArrayRef, dimensions: dict[str, int]) -> None:
    spec = task.spec_of(ref.name)
    expected = f"{spec.dtype} [{', '.join(map(str, spec.shape))}]"
    actual = f"{ref.dtype} [{', '.join(map(str, ref.shape))}]"
    if ref.dtype != spec.dtype or len(ref.shape) != len(spec.shape):
        raise WireError("invalid_array", f"{ref.name} must be {expected}, not {actual}", spec.help)
    for side, size in zip(spec.shape, ref.shape, strict=True):
        wanted = side if isinstance(side, int) else dimensions.setdefault(side, size)
        if size != wanted:
            where = "" if isinstance(side, int) else f" with {side} = {wanted}, as in the arrays beside it"
            raise WireError("invalid_array", f"{ref.name} must be {expected}{where}, not {actual}", spec.help)
        low, high = task.dimensions.get(str(side), (0, size))
        if not low <= size <= high:
            message = f"{side} of {ref.name} must be between {low} and {high}, not {size}"
            raise WireError("invalid_array", message, spec.help)


def _check_company(task: Task, by_name: Mapping[str, ArrayRef]) -> None:
    """Required arrays are there, objects are counted 0, 1, 2 … without gaps, companions come together."""
    for spec in task.inputs:
        kind, numbered, _ = spec.name.partition(".<i>")
        if not spec.required:
            continue
        numbers = [int(name.split(".")[1]) for name in by_name if name.startswith(f"{kind}.")] if numbered else []
        count = max(task.least.get(kind, 1), *(number + 1 for number in numbers), 0) if numbered else 1
        for number in range(count):
            wanted = spec.name.replace("<i>", str(number))
            if wanted not in by_name:
                raise WireError("invalid_array", f"{wanted} is missing", spec.help)
    for names in task.together:
        present = [name for name in names if name in by_name]
        if present and len(present) < len(names):
            absent = next(name for name in names if name not in by_name)
            raise WireError("invalid_array", f"{present[0]} needs {absent} beside it", "send both or neither")
