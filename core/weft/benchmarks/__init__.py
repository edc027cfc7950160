"""Measurements that documents quote: each prints its table from a run on this machine."""
