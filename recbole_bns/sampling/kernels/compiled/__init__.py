"""The text that numba compiles; only :mod:`..engine` imports it."""
