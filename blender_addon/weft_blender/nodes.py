"""Node trees, which Blender < 5.0 makes only when asked."""

from __future__ import annotations

from typing import Any

__all__ = ["tree_of"]


def tree_of(owner: Any) -> Any:
    """The node tree of a material or world, with the nodes that a new one has."""
    if owner.node_tree is None:
        owner.use_nodes = True
    return owner.node_tree
