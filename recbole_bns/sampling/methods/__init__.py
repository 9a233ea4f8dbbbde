"""One method a file. Importing this package registers them all."""

from . import ahns, all, aobpr, bns, cuco, dns, inbatch, mixed, pns, rns, srns

__all__ = ["ahns", "all", "aobpr", "bns", "cuco", "dns", "inbatch", "mixed", "pns", "rns", "srns"]
