"""The optional libraries of the search, or a sentence that says how to get them."""

from __future__ import annotations

import importlib

from s3dnn_ros.errors import StrategyError

ADVICE = 'install them with `pip install "pymoo>=0.6,<0.7" "scikit-learn>=1.0,<2"`'
DASK_ADVICE = 'install it with `pip install "dask[distributed]>=2023.5,<2027"`'


def library(name: str):
    """Return a module of pymoo, scikit-learn, joblib or Dask; raises StrategyError without it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name or name
        if name == 'distributed':
            raise StrategyError('a Dask cluster', f'needs Dask, and {missing} is not here; '
                                                  f'{DASK_ADVICE}') from error
        raise StrategyError('the search for strategies', 'needs pymoo and scikit-learn, and '
                            f'{missing} is not here; {ADVICE}') from error
