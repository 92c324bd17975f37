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


WORKLOAD = """\
board: tx2
seconds: 0.5
segments: 1
instances:
  - {name: front, model: resnet18, rate_hz: 20, deadline_ms: 50}
sweep:
  cameras: [1, 2]
"""


@pytest.mark.parametrize('words', [['lab'], ['lab', 'workload']])
def test_a_workload_is_simulated_in_all_combinations(words, tmp_path, capsys):
    path = tmp_path / 'work.yaml'
    path.write_text(WORKLOAD, encoding='utf-8')
    out = tmp_path / 'out.json'
    call = [*words, str(path), '--seeds', '2', '--jobs', '1', '--out', str(out)]
    assert main(call) == 0
    told = capsys.readouterr()
    assert '2 combinations × 2 seeds = 4 simulations with 60 images; about' in told.err + told.out
    assert re.search(r'\| cameras \| keeps tolerated \| missed, % \|', told.out)
    assert '- cameras: 2 keeps all tolerated misses' in told.out
    assert main(['bench', 'table', str(out)]) == 0
    assert '- cameras: 2 keeps all tolerated misses' in capsys.readouterr().out
    assert main(call) == 0


def test_a_mistake_is_one_sentence_with_the_line(tmp_path, capsys):
    path = tmp_path / 'work.yml'
    path.write_text(WORKLOAD.replace('rate_hz', 'rate'), encoding='utf-8')
    assert main(['lab', str(path)]) == 1
    assert capsys.readouterr().err == (
        f"s3dnn: {path}: line 5: has the unknown key 'instances.0.rate'; did you mean "
        "'rate_hz'?\n")


def test_too_much_is_refused_before_it_begins(tmp_path, capsys):
    path = tmp_path / 'work.yaml'
    path.write_text(WORKLOAD, encoding='utf-8')
    assert main(['lab', str(path), '--seeds', '100000']) == 1
    assert 'or give --large' in capsys.readouterr().err


@pytest.mark.parametrize('option, value', [
    ('--boards', 'nano'), ('--cohorts', 'huge'), ('--contenders', 'magic')])
def test_what_neuos_does_not_have_is_named(option, value, capsys):
    assert main(['lab', 'neuos', option, value]) == 1
    said = capsys.readouterr().err
    assert option in said and value in said and 'expected some of' in said


def test_neuos_prints_its_tables_and_keeps_its_results(tmp_path, capsys):
    path = tmp_path / 'neuos.json'
    assert main(['lab', 'neuos', '--boards', 'tx2', '--cohorts', 'medium', '--contenders',
                 'Max-N', '--seeds', '1', '--seconds', '0.9', '--period-factors', '4', '--jobs',
                 '1', '--out', str(path)]) == 0
    assert '### tx2, medium, a frame every 4 deadlines' in capsys.readouterr().out
    assert path.exists()
