"""One loss a file. Importing this package registers them all."""

from . import bce, bpr, ccl, dns_sum, hinge, kpair, psl, sl, slk, ssm

__all__ = ["bce", "bpr", "ccl", "dns_sum", "hinge", "kpair", "psl", "sl", "slk", "ssm"]
