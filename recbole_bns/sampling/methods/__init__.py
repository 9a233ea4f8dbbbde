"""One method a file. Importing this package registers them all."""

from . import (
    advir,
    ahns,
    all,
    aobpr,
    bns,
    cuco,
    dns,
    given,
    inbatch,
    irgan,
    mixed,
    pns,
    rns,
    rns_as,
    srns,
)

__all__ = [
    "advir",
    "ahns",
    "all",
    "aobpr",
    "bns",
    "cuco",
    "dns",
    "given",
    "inbatch",
    "irgan",
    "mixed",
    "pns",
    "rns",
    "rns_as",
    "srns",
]
