"""Tests of a report use the builders beside them."""

import sys
from pathlib import Path

# importlib mode leaves the tests' directories off sys.path; runs is here
sys.path.insert(0, str(Path(__file__).parent))
