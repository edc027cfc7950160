"""Radiance fields that are fitted to pictures, edited and rendered: Gaussian splats and NeRFs."""
