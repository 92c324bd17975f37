"""The builders of images lie here."""

import sys
from pathlib import Path

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).parent))
