"""Weft inside nerfstudio: `ns-train weft-csd` edits trained splats, `ns-train weft-csd-nerfacto` a trained nerfacto.

nerfstudio finds the methods through the entry points of the group `nerfstudio.method_configs`. Nothing here needs it to
be installed until one of them is asked for.
"""
