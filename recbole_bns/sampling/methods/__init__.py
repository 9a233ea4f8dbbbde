"""One method a file. Importing this package registers them all."""

from . import ahns, aobpr, bns, dns, pns, rns, srns

__all__ = ["ahns", "aobpr", "bns", "dns", "pns", "rns", "srns"]
