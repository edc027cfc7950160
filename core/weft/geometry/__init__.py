"""Cameras, meshes and their sparse rasterisation on the CPU."""
