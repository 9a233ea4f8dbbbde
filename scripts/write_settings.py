"""Write properties/overall.yaml and docs/settings.md from the declaration of the settings.

Usage: python scripts/write_settings.py  (a test fails when they are stale)
"""

from __future__ import annotations

import sys
from pathlib import Path

from recbole_bns.settings.reference import markdown, overall_yaml

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Write both."""
    (ROOT / "properties" / "overall.yaml").write_text(overall_yaml(), encoding="utf-8")
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "settings.md").write_text(markdown(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
