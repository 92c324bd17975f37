"""Parameters and checks that several nodes have."""

from __future__ import annotations

from s3dnn_ros.errors import ParameterError

AUTOSTART = 'Configure and activate without waiting for a lifecycle manager.'
MODEL_DIRECTORIES = "Directories searched for model descriptions before the package's own."
STATS_PERIOD_S = 'Period of the counters on ~/stats and /diagnostics.'
PROFILE = ('Measured times of the model, by which its frames are fused and scheduled. auto: the '
           'one in the cache that fits model and engine, if there is one; empty: none; else the '
           'path of a file that `s3dnn profile` wrote.')
PRESET = 'Sets the defaults of other parameters together; those that are given stay. '


def require_model(name, instance):
    """Raise ParameterError if an instance names no model."""
    if not instance.model:
        raise ParameterError(f'instances.{name}.model', '',
                             'name a model; `s3dnn models list` shows those there are')
