"""Launch tests: the real launch files, their nodes in processes of their own."""

import os
import random
import sys
from pathlib import Path

# Nothing outside this machine may hear the tests, or be heard by them.
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 101)))
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')

# the tiny networks and what cameras show them
sys.path.insert(0, str(Path(__file__).parents[1] / 'nodes'))
sys.path.insert(0, str(Path(__file__).parent))
