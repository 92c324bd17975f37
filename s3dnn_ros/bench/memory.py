"""How much memory something takes."""

from __future__ import annotations

import tracemalloc
from typing import Any, Callable, Tuple


def memory_kb(make: Callable, *arguments) -> Tuple[float, Any]:
    """Return what Python holds more than before, in kB, once something is made, and that."""
    tracemalloc.start()
    try:
        made = make(*arguments)
        return tracemalloc.get_traced_memory()[0] / 1e3, made
    finally:
        tracemalloc.stop()
