"""The optional libraries of the search, or a sentence that says how to get them."""

from __future__ import annotations

import importlib

from s3dnn_ros.errors import StrategyError

ADVICE = 'install them with `pip install "pymoo>=0.6,<0.7" "scikit-learn>=1.0,<2"`'


def library(name: str):
    """Return a module of pymoo, scikit-learn or joblib; raises StrategyError without it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StrategyError('the search for strategies', f'needs pymoo and scikit-learn, and '
                            f'{error.name or name} is not here; {ADVICE}') from error
