"""Write properties/sampler/, loss/ and mixer/: documented copies of the dataclasses.

Usage: python scripts/write_yaml.py  (a test fails when the copies are stale)
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from recbole_bns import losses, mixers, sampling
from recbole_bns.common.params import allowed, outside


def text(cls: type[sampling.NegativeSampler]) -> str:
    """YAML of one sampler: its parameters with defaults, help and allowed values."""
    return _lines(cls, "neg_sampler")


def text_of_loss(cls: type[losses.Loss]) -> str:
    """YAML of one loss: its parameters, and how many negatives it is meant to meet."""
    return f"{_lines(cls, 'loss')}neg_sample_num: {cls.negatives}\n"


def text_of_mixer(cls: type[mixers.Mixer]) -> str:
    """YAML of one mixer: its parameters, and how many negatives a positive is meant to meet."""
    return f"{_lines(cls, 'mixer')}neg_sample_num: {cls.negatives}\n"


def _lines(cls: Any, setting: str) -> str:
    lines = [f"# {cls.idea[0].upper()}{cls.idea[1:]} ({cls.paper}).", f"{setting}: {cls.name}"]
    fields = dataclasses.fields(cls.Params)
    lines.append(f"{setting}_args:" if fields else f"{setting}_args: {{}}")
    for field in fields:
        head = f"  {outside(field.name)}: {field.default}"
        lines.append(f"{head:<32}# {field.metadata['help']} ({allowed(field)})")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write all files."""
    folder = Path(__file__).parent.parent / "properties"
    for name in ("loss", "mixer"):
        (folder / name).mkdir(exist_ok=True)
    for name, sampler in sampling.available().items():
        (folder / "sampler" / f"{name}.yaml").write_text(text(sampler), encoding="utf-8")
    for name, loss in losses.available().items():
        (folder / "loss" / f"{name}.yaml").write_text(text_of_loss(loss), encoding="utf-8")
    for name, mixer in mixers.available().items():
        (folder / "mixer" / f"{name}.yaml").write_text(text_of_mixer(mixer), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
