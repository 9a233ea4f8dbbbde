"""One mixer a file. Importing this package registers them all."""

from . import dcans, dens, dins, mixgcf

__all__ = ["dcans", "dens", "dins", "mixgcf"]
