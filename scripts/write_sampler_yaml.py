"""Write properties/sampler/<name>.yaml, the documented copy of each sampler's dataclass.

Usage: python scripts/write_sampler_yaml.py  (a test fails when the copies are stale)
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from recbole_bns.common.params import allowed, outside
from recbole_bns.sampling import NegativeSampler, available


def text(cls: type[NegativeSampler]) -> str:
    """YAML of one sampler: its parameters with defaults, help and allowed values."""
    lines = [f"# {cls.idea[0].upper()}{cls.idea[1:]} ({cls.paper}).", f"neg_sampler: {cls.name}"]
    fields = dataclasses.fields(cls.Params)
    lines.append("neg_sampler_args:" if fields else "neg_sampler_args: {}")
    for field in fields:
        head = f"  {outside(field.name)}: {field.default}"
        lines.append(f"{head:<32}# {field.metadata['help']} ({allowed(field)})")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write all files."""
    folder = Path(__file__).parent.parent / "properties" / "sampler"
    for name, cls in available().items():
        (folder / f"{name}.yaml").write_text(text(cls), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
