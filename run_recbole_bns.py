"""Train a RecBole model with a negative sampler: ``recbole-bns run`` as a script."""

import sys

from recbole_bns.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
