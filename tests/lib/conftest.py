"""Shared settings: the oracles on the path, and repeatable hypothesis examples."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile(
    "book", deadline=None, derandomize=True, max_examples=40, database=None
)
settings.load_profile("book")
