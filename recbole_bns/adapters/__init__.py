"""Everything that must change with RecBole; importing any of it mends RecBole first."""

from .mends import mend

mend()
