"""The kinds of input lie here, and the builders of other tests are used."""

import sys
from pathlib import Path

# importlib mode leaves the tests' directories off sys.path
for folder in ('inputs', 'images', 'models', 'distance'):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
