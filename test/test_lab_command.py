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


@pytest.mark.parametrize('option, value', [
    ('--boards', 'nano'), ('--cohorts', 'huge'), ('--contenders', 'magic')])
def test_what_neuos_does_not_have_is_named(option, value, capsys):
    assert main(['lab', 'neuos', option, value]) == 1
    said = capsys.readouterr().err
    assert option in said and value in said and 'expected some of' in said


def test_neuos_prints_its_tables_and_keeps_its_results(tmp_path, capsys):
    path = tmp_path / 'neuos.json'
    assert main(['lab', 'neuos', '--boards', 'tx2', '--cohorts', 'medium', '--contenders',
                 'Max-N', '--seeds', '1', '--seconds', '0.3', '--period-factors', '4', '--jobs',
                 '1', '--out', str(path)]) == 0
    assert '### tx2, medium, a frame every 4 deadlines' in capsys.readouterr().out
    assert path.exists()
