"""What the tests of the governor share."""

import sys
from pathlib import Path

# importlib mode leaves the tests' directories off sys.path; simulated_executor is here
sys.path.insert(0, str(Path(__file__).parent))
