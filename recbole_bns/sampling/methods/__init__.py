"""One method a file. Importing this package registers them all."""

from . import ahns, all, aobpr, bns, dns, inbatch, mixed, pns, rns, srns

__all__ = ["ahns", "all", "aobpr", "bns", "dns", "inbatch", "mixed", "pns", "rns", "srns"]
