"""Fused loops for the CPU; each has a torch twin that gives the same numbers."""
