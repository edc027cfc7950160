"""Measures of quality that need no learned weights: images in [0, 1] sRGB, unlit, NumPy arrays only."""

from weft.metrics.charts import chart_ids, chart_map
from weft.metrics.detail import detail_correlation
from weft.metrics.images import eroded, psnr, relative_sharpness, sharpness
from weft.metrics.patches import patch_distance
from weft.metrics.seams import line_seams, wrap_seam
from weft.metrics.ssim import ssim
from weft.metrics.textures import coverage, seam_energy
from weft.metrics.views import pairwise_view_psnr, rerender_psnr

__all__ = [
    "chart_ids",
    "chart_map",
    "coverage",
    "detail_correlation",
    "eroded",
    "line_seams",
    "pairwise_view_psnr",
    "patch_distance",
    "psnr",
    "relative_sharpness",
    "rerender_psnr",
    "seam_energy",
    "sharpness",
    "ssim",
    "wrap_seam",
]
