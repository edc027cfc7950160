"""How views are edited together, whatever edits them: names and ranges as in the job's parameters."""

from __future__ import annotations

from dataclasses import dataclass

from weft.errors import InvalidInput
from weft.methods.view_editing import find_way

__all__ = ["AUTOMATIC", "Wanted"]

AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Raises UnknownName for a way that there is not."""

    way: str = AUTOMATIC
    coupling: float = 0.4
    coupling_lambda: float = 0.0
    reference: int = 0  # from 1; 0: the view that sees most
    seed: int = 0

    def __post_init__(self) -> None:
        if self.way != AUTOMATIC:
            find_way(self.way)

    @property
    def strength(self) -> tuple[float, str]:
        """How strong the coupling is, and in which units."""
        return (self.coupling_lambda, "lambda") if self.coupling_lambda > 0 else (self.coupling, "kappa")

    def check_count(self, views: int) -> None:
        """Raise InvalidInput unless the reference is one of so many views."""
        if not 0 <= self.reference <= views:
            raise InvalidInput(
                f"reference = {self.reference}, and there are {views} views", "count from 1; 0 takes what sees most"
            )
