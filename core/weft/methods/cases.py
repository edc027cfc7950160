"""The sixty ways of Kim et al. 2024 (SyncTweedies) to tie views together, as data: Section 3 and Appendix, Table A9.

A step of diffusion is ε ← network(x_t), x0 ← φ(x_t, ε) (Tweedie's formula), x_s ← ψ(x_t, x0) (a DDIM step). The cases
differ in which variables are denoised, where φ and ψ are computed, and what is synchronised on the way:

| cases | denoised | φ | ψ | what is synchronised |
|---|---|---|---|---|
| 0             | views     | views     | views     | nothing (only the end result)                      |
| 1-3, 7-34     | views     | views     | views     | any of five quantities, counted in binary          |
| 35-38         | views     | canonical | views     | x_t at the network or at ψ, or not                 |
| 39, 40        | views     | canonical | canonical | x_t at the network, or not                         |
| 41-48         | views     | views     | canonical | x_t at the network, ε, x_t at φ, counted in binary |
| 4             | canonical | canonical | canonical |                                                    |
| 5, 49         | canonical | views     | canonical | ε, or not                                          |
| 6, 50, 51, 52 | canonical | views     | views     | ε or x0, both, or neither                          |
| 53            | canonical | canonical | views     |                                                    |
| 54-56         | both      | the mean of both, of ε, x0 or ψ's output, updates the views || z goes as in Case 4   |
| 57-59         | both      | the mean of both, of ε, x0 or ψ's output, updates z         || as in 4, 5, 6         |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from weft.errors import UnknownName

__all__ = ["ALIASES", "CASES", "INDEPENDENT", "SYNCTWEEDIES", "Case", "find_case"]

Domain = Literal["views", "canonical"]


@dataclass(frozen=True, slots=True)
class Case:
    """Which quantities of a step pass through F = project ∘ aggregate, and where the step is computed."""

    eps_in: bool = False  # x_t as the network sees it
    eps_out: bool = False  # the network's noise
    phi_in: bool = False  # x_t inside φ
    x0: bool = False  # φ's output
    psi_in: bool = False  # x_t inside ψ
    variable: Domain | Literal["both"] = "views"  # what is denoised
    phi: Domain = "views"  # where φ is computed
    psi: Domain = "views"  # where ψ is computed
    mean: Literal["", "eps", "x0", "psi"] = ""  # of both variables, where both are denoised
    updates: Domain = "views"  # the variable that this mean updates; the other goes its own way

    @property
    def output(self) -> Domain:
        """Which variable ends as the sample."""
        return self.updates if self.variable == "both" else "canonical" if self.variable == "canonical" else "views"


def _flags(code: int) -> Case:
    eps_in, eps_out, phi_in, x0, psi_in = (bool(code >> bit & 1) for bit in range(5))
    return Case(eps_in, eps_out, phi_in, x0, psi_in)


def _views_alone() -> dict[int, Case]:
    """Three cases by name, the other 28 in ascending order of their flags read as binary."""
    named = {0b00000: 0, 0b00010: 1, 0b01000: 2, 0b10101: 3}
    others = [code for code in range(32) if code not in named]
    return {number: _flags(code) for code, number in (named | dict(zip(others, range(7, 35), strict=True))).items()}


def _cases() -> dict[int, Case]:
    cases = _views_alone()
    in_canonical = Case(phi="canonical")
    for number, (psi_in, eps_in) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)], start=35):
        cases[number] = replace(in_canonical, psi_in=bool(psi_in), eps_in=bool(eps_in))
    for number, eps_in in ((39, False), (40, True)):
        cases[number] = replace(in_canonical, psi="canonical", eps_in=eps_in)
    cases |= {41 + code: replace(_flags(code), psi="canonical") for code in range(8)}
    z = Case(variable="canonical")
    cases |= {
        4: replace(z, phi="canonical", psi="canonical"),
        5: replace(z, psi="canonical"),
        6: z,
        49: replace(z, psi="canonical", eps_out=True),
        50: replace(z, eps_out=True),
        51: replace(z, x0=True),
        52: replace(z, eps_out=True, x0=True),
        53: replace(z, phi="canonical"),
    }
    both = Case(variable="both", phi="canonical", psi="canonical")
    cases |= {
        54: replace(both, mean="eps"),
        55: replace(both, mean="x0"),
        56: replace(both, mean="psi"),
        57: replace(both, mean="eps", updates="canonical"),
        58: replace(both, mean="x0", updates="canonical", phi="views"),
        59: replace(both, mean="psi", updates="canonical", phi="views", psi="views"),
    }
    return dict(sorted(cases.items()))


CASES = _cases()
INDEPENDENT = CASES[0]
SYNCTWEEDIES = CASES[2]
ALIASES = {"independent": 0, "synctweedies": 2, "visual_anagrams": 4, "syncmvd": 5, "multidiffusion": 6}


def find_case(name: str | int) -> Case:
    """A case by its number in the paper, or by the name of the method that it is. Raises UnknownName."""
    text = str(name).strip().lower().replace("-", "_").replace(" ", "_")
    found = CASES.get(ALIASES.get(text, int(text) if text.isdecimal() and len(text) < 4 else -1))
    if found is None:
        near = get_close_matches(text, ALIASES, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose a number from 0 to 59, or {', '.join(ALIASES)}"
        raise UnknownName(f"no synchronisation case is called {name!r}", hint)
    return found
