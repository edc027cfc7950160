"""Canonical spaces: what the views of one job have in common, as sparse linear maps."""
