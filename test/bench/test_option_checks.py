"""Too little to measure is refused by the option's name."""

import math

import pytest

from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.errors import ParameterError


@pytest.mark.parametrize('check, good, bad', [
    (at_least_one, [1, 7], [0, -1]), (above_zero, [1e-9, 3.0], [0.0, -1.0, math.inf, math.nan])])
def test_the_first_bad_value_is_named(check, good, bad):
    check('--seconds', good)
    for value in bad:
        with pytest.raises(ParameterError, match=f"'--seconds' is {value}"):
            check('--seconds', [*good, value])
