"""Options of the command line, generated from declared parameters."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any, NoReturn

from weft_wire.parameters import from_mapping, params_of

__all__ = ["Parser", "add_options", "options_of"]


class Parser(argparse.ArgumentParser):
    """Complains in one line that ends with the remedy."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"weft: {message} (`{self.prog} --help` lists the options)\n")
        raise SystemExit(2)


def add_options(parser: argparse.ArgumentParser, declaration: type[Any]) -> None:
    """One option per field: --texture-size for texture_size, --decals / --no-decals for a switch."""
    for field, kind, rule in params_of(declaration):
        option = f"--{field.name.replace('_', '-')}"
        details = [f"{_number(rule.minimum)} to {_number(rule.maximum)}"] if kind in (int, float) else []
        details += [rule.unit] if rule.unit else []
        if field.default not in ("", dataclasses.MISSING):
            details.append(f"default {field.default}")
        text = f"{rule.help} ({', '.join(details)})" if details else rule.help
        if kind is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            parser.add_argument(
                option,
                type=kind,
                choices=rule.choices or None,
                default=argparse.SUPPRESS,
                metavar=None if rule.choices else {str: "TEXT", int: "N", float: "X"}[kind],
                help=text,
            )


def options_of(namespace: argparse.Namespace, declaration: type[Any]) -> Any:
    """The declared dataclass from the parsed options; values out of range raise."""
    given = vars(namespace)
    names = [field.name for field, _, _ in params_of(declaration) if field.name in given]
    return from_mapping(declaration, {name: given[name] for name in names})


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
