"""``python -m empirical_score`` is the command ``empirical-score``."""

import sys

from .auditing.command import main

if __name__ == "__main__":
    sys.exit(main())
