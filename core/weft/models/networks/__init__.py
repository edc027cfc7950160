"""Networks with trained weights as denoisers: diffusers' components under our own loop. Needs the extra `models`."""

from weft.models.networks.quiet import hush

hush()
