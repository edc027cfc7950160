"""What the panels of all edits by score distillation show alike."""

from __future__ import annotations

__all__ = ["FOR_EMBEDDED", "MORE", "ROWS", "UNHEEDED"]

# Short labels: Blender cuts what does not fit a narrow sidebar.
ROWS = (("fidelity", "Fidelity"), ("iterations", "Steps"), ("noise_high", "Noise"), ("seed", "Seed"))
MORE = (
    ("pattern_scale", "Scale"),
    ("noise_low", "Least Noise"),
    ("rate", "Rate"),
    ("rule", "Rule"),
    ("repulsion", "Repulsion"),
)
FOR_EMBEDDED = frozenset({"fidelity", "pattern_scale"})
# Pictures are edited as they are: nothing is drawn from a geometry, and views share no latents and no attention.
UNHEEDED = frozenset({"control", "synchronize", "sync_until", "view_attention"})
