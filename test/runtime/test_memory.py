"""Memory that was freed stays in the process."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from s3dnn_ros.runtime.memory import keep_freed_memory
if {keeps}:
    keep_freed_memory()
for _ in range(3):
    bytearray(3_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytearray(3_000_000), bytearray(3_000_000), bytearray(3_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keeps):
    done = subprocess.run([sys.executable, '-c', SCRIPT.format(keeps=keeps)], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='another C library')
def test_an_image_that_comes_again_costs_no_page_faults():
    assert faults(keeps=True) < 0.1 * faults(keeps=False)
