"""``python -m recbole_bns``, as which ``torchrun -m recbole_bns run …`` starts it too."""

import sys

from recbole_bns.cli import main

if __name__ == "__main__":
    sys.exit(main())
