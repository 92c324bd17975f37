"""The command `s3dnn lab`."""

import re

import pytest

from s3dnn_ros.cli import main


@pytest.mark.parametrize('options', [[], ['--fit']])
def test_every_published_figure_has_a_line_with_its_residual(options, capsys):
    assert main(['lab', 'calibrate', *options]) == 0
    told = capsys.readouterr().out
    assert 'Fitted: 0.533 of the peak, 28.5 µs a kernel.' in told
    assert '30.1 µs a kernel (assumed)' in told
    assert re.search(r'\| vgg16 \| 7.46 \| \d\.\d\d \| \+\d+% \| \+\d+% \| torch2trt', told)
    assert re.search(r'\| MAXQ \| 7.5 \| \d\.\d \| \+\d+% \|', told)


def test_an_unknown_board(capsys):
    assert main(['lab', 'calibrate', 'nano']) == 1
    assert "board 'nano': is not known" in capsys.readouterr().err
