"""Whatever way a process ends, the board is left as it was."""

import json
import os
import signal
import subprocess
import sys

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms import JetsonPlatform, restored_at_end
from s3dnn_ros.platforms.knobs import DevfreqKnob
from s3dnn_ros.platforms.saved import restore_leftovers, state_file, write_state
from s3dnn_ros.platforms.sysfs import Sysfs

GPU = 'sys/class/devfreq/17000000.gp10b'


@pytest.fixture
def tx2(make_board, kit):
    """Return the root of a TX2, and what it is like before anybody came."""
    root = make_board('tx2')
    return root, kit.seen(root)


def states(root):
    return list((root / 'run' / 's3dnn').glob('state-*'))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


HELPED = 'with restored_at_end(platform):\n    '


@pytest.mark.parametrize('script, status', [
    ('', 0),
    ('sys.exit(3)', 3),
    ('raise RuntimeError', 1),
    ('platform.restore()', 0),
    ('platform.close(); platform.close()', 0),
    ('with platform: raise RuntimeError', 1),
    (f'{HELPED}raise RuntimeError', 1),
    (f'{HELPED}pass', 0),
    ('os._exit(4)', 4),
    ('if os.fork() == 0: sys.exit()\nos.wait(); time.sleep(0.2)', 0),
])
def test_the_process_ends_by_itself(tx2, start, kit, script, status):
    root, before = tx2
    child = start(root, script)
    assert child.wait(20) == status
    kit.wait_until(lambda: not is_alive(child.watchdog))
    assert kit.seen(root) == before
    assert states(root) == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('helped', [True, False])
def test_a_signal_ends_the_process(tx2, start, kit, number, helped):
    root, before = tx2
    child = start(root, f"""
{HELPED if helped else 'if True:'}
    print('ready', flush=True)
    time.sleep(60)""")
    child.stdout.readline()
    assert kit.seen(root) != before
    child.send_signal(number)
    status = child.wait(20)
    if helped:
        assert kit.seen(root) == before
        # Python itself ends by SIGINT after a KeyboardInterrupt
        assert status == (-number if number == signal.SIGINT else 128 + number)
    kit.wait_until(lambda: not is_alive(child.watchdog))
    assert kit.seen(root) == before
    assert states(root) == []


def test_the_watchdog_restores_after_sigkill(tx2, start, kit):
    root, before = tx2
    child = start(root, 'time.sleep(60)')
    assert kit.seen(root) != before
    child.kill()
    kit.wait_until(lambda: kit.seen(root) == before and states(root) == [])
    JetsonPlatform(root).close()


def test_forked_children_neither_restore_nor_keep_the_board(tx2, start, kit):
    root, before = tx2
    child = start(root, """
worker = os.fork()
if worker == 0:
    platform.close()
    try:
        platform.apply(0)
    except Exception as error:
        os.write(1, f'{type(error).__name__}\\n'.encode())     # one write: two processes share it
    time.sleep(60)
    os._exit(0)
os.write(1, f'{worker}\\n'.encode())
time.sleep(60)""")
    lines = {child.stdout.readline().strip(), child.stdout.readline().strip()}
    assert 'PlatformError' in lines
    (worker,) = map(int, lines - {'PlatformError'})
    assert kit.seen(root) != before
    try:
        child.kill()
        kit.wait_until(lambda: kit.seen(root) == before and states(root) == [])
        JetsonPlatform(root).close()
    finally:
        os.kill(worker, signal.SIGKILL)


def test_when_the_watchdog_dies_as_well_the_next_start_restores(tx2, start, kit):
    root, before = tx2
    child = start(root, 'time.sleep(60)')
    os.kill(child.watchdog, signal.SIGKILL)
    child.kill()
    child.wait()
    assert kit.seen(root) != before
    assert len(states(root)) == 1
    with JetsonPlatform(root) as platform:
        assert kit.seen(root) == before
        platform.apply(0)
    assert kit.seen(root) == before
    assert states(root) == []


def test_the_watchdog_outlives_the_signals_that_end_all(tx2, start, kit):
    root, before = tx2
    child = start(root, 'time.sleep(60)')
    kit.wait_until(lambda: _ignores(child.watchdog, signal.SIGTERM))
    assert os.getsid(child.watchdog) != os.getsid(child.pid)
    os.kill(child.watchdog, signal.SIGINT)
    os.kill(child.watchdog, signal.SIGTERM)
    child.kill()
    kit.wait_until(lambda: kit.seen(root) == before)


def _ignores(pid, number):
    with open(f'/proc/{pid}/status') as file:
        mask = next(line.split()[1] for line in file if line.startswith('SigIgn'))
    return int(mask, 16) >> (number - 1) & 1


def test_the_state_is_saved_before_the_first_write(make_board, kit):
    class Looking(kit.FakeKernel):
        def put(self, name, text):
            (state,) = states(self.root)
            knobs = json.loads(state.read_text())['knobs']
            folder = next(folder for _, folder, _ in knobs if name.startswith(folder + '/'))
            assert folder
            super().put(name, text)

    files = Looking(make_board('tx2'))
    with JetsonPlatform(files=files) as platform:
        assert states(files.root) == []
        platform.apply(0)
        platform.apply(len(platform.configurations) - 1)


def test_only_what_was_turned_is_restored(tx2, kit):
    root, before = tx2
    with JetsonPlatform(root, knobs=('gpu', 'emc')) as platform:
        platform.apply(0)
        speed = f'{kit.CPU}/cpufreq/policy0/scaling_max_freq'
        kit.write(root, speed, '652800\n')      # somebody else's choice
    assert kit.seen(root) == {**before, speed: '652800\n'}


def test_restoring_twice_does_no_harm(make_platform, kit):
    platform = make_platform('tx2')
    before = kit.seen(platform.files.root)
    platform.apply(5)
    platform.restore()
    platform.files.writes.clear()
    platform.restore()
    assert platform.files.writes == []
    platform.apply(7)
    platform.close()
    platform.close()
    assert kit.seen(platform.files.root) == before


def test_what_cannot_be_restored_does_not_keep_the_rest(make_board, kit):
    class Stuck(kit.FakeKernel):
        stuck = False

        def put(self, name, text):
            if self.stuck and name == f'{kit.EMC}/rate':
                raise PlatformError(name, 'stuck')
            super().put(name, text)

    files = Stuck(make_board('tx2'))
    before = kit.seen(files.root)
    platform = JetsonPlatform(files=files)
    platform.apply(0)
    files.stuck = True
    with pytest.raises(PlatformError, match=r'could not be restored: .*stuck'):
        platform.restore()
    different = {name for name, text in kit.seen(files.root).items() if before[name] != text}
    assert different == {f'{kit.EMC}/rate', f'{kit.EMC}/mrq_rate_locked'}
    files.stuck = False
    platform.close()
    assert kit.seen(files.root) == before


def test_a_state_of_an_earlier_boot_is_forgotten(tx2, kit, tmp_path):
    root, before = tx2
    files = Sysfs(root)
    kit.write(root, 'proc/sys/kernel/random/boot_id', 'monday\n')
    saved = {'governor': 'performance\n', 'min_freq': '1\n', 'max_freq': '2\n'}
    write_state(state_file(tmp_path, 1), files, [('devfreq', GPU, saved)])
    kit.write(root, 'proc/sys/kernel/random/boot_id', 'tuesday\n')
    assert restore_leftovers(tmp_path, files) == []
    assert kit.seen(root) == before
    assert not state_file(tmp_path, 1).exists()


def test_what_goes_wrong_with_one_knob_does_not_keep_the_rest(make_board, kit):
    class Wild(kit.FakeKernel):
        wild = False

        def put(self, name, text):
            if self.wild and name.endswith('/max_freq'):
                raise RuntimeError('nobody has thought of this')
            super().put(name, text)

    files = Wild(make_board('tx2'))
    before = kit.seen(files.root)
    platform = JetsonPlatform(files=files, knobs=('gpu', 'emc'))
    platform.apply(0)
    files.wild = True
    with pytest.raises(PlatformError, match='RuntimeError: nobody has thought of this'):
        platform.restore()
    assert files.text(f'{kit.EMC}/rate') == before[f'{kit.EMC}/rate'].strip()
    files.wild = False
    platform.close()
    assert kit.seen(files.root) == before


@pytest.mark.parametrize('text', [
    '', '{', '[]', '{"knobs": 3}', pytest.param('[' * 100_000, id='deep'),
    '{"root": "ROOT", "boot": "", "knobs": 3}'])
def test_a_broken_state_is_said_and_removed(tx2, kit, tmp_path, text):
    root, before = tx2
    state_file(tmp_path, 1).write_text(text.replace('ROOT', str(root)))
    (sentence,) = restore_leftovers(tmp_path, Sysfs(root))
    assert 'cannot be read' in sentence
    assert kit.seen(root) == before
    assert restore_leftovers(tmp_path, Sysfs(root)) == []


@pytest.mark.parametrize('broken', [
    1, [], ['core'], [[], {}, 7], ['devfreq', GPU, {}], ['devfreq', GPU, None],
    ['devfreq', GPU, {'governor': 'x', 'min_freq': 'y', 'max_freq': 'N/A'}]])
def test_a_broken_entry_is_said_and_the_others_are_restored(tx2, kit, tmp_path, broken):
    root, before = tx2
    files, core = Sysfs(root), f'{kit.CPU}/cpu3'
    good = ['core', core, {'online': before[f'{core}/online']}]
    kit.write(root, f'{core}/online', '0\n')
    write_state(state_file(tmp_path, 1), files, [broken, good])
    (sentence,) = restore_leftovers(tmp_path, files)
    assert 'cannot be restored' in sentence and 'check' in sentence
    assert kit.seen(root) == before
    assert restore_leftovers(tmp_path, files) == []


def test_the_state_is_not_written_through_a_link(tx2, tmp_path):
    root, _ = tx2
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / 'state-1.json.new').symlink_to(tmp_path / 'mine')
    with pytest.raises(PlatformError, match='cannot be saved'):
        write_state(state_file(tmp_path, 1), Sysfs(root), [])
    assert (tmp_path / 'mine').read_text() == 'mine'


def test_nothing_is_changed_where_nobody_can_watch(make_platform, kit, monkeypatch):
    platform = make_platform('tx2')
    before = kit.seen(platform.files.root)
    monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    for _ in range(2):
        with pytest.raises(PlatformError, match=r'/nowhere/python.*nothing was changed; see'):
            platform.apply(0)
    assert kit.seen(platform.files.root) == before
    assert states(platform.files.root) == []


def test_a_forged_state_writes_no_other_files(tx2, kit, tmp_path):
    root, before = tx2
    kit.write(root, 'etc/governor', 'root\n')
    forged = ('devfreq', 'sys/class/devfreq/../../../etc', {'governor': 'me\n', 'min_freq': '1\n',
                                                            'max_freq': '2\n'})
    rate, lock = (before[f'{kit.EMC}/{file}'] for file in ('rate', 'mrq_rate_locked'))
    more = ('emc', kit.EMC, {'rate': rate, 'mrq_rate_locked': lock,
                             '../' * 7 + 'etc/governor': 'me\n'})
    write_state(state_file(tmp_path, 1), Sysfs(root), [forged, more])
    (sentence,) = restore_leftovers(tmp_path, Sysfs(root))
    assert 'this is not where a knob' in sentence
    assert (root / 'etc/governor').read_text() == 'root\n'
    assert kit.seen(root) == before


def test_a_state_of_another_tree_is_left_alone(make_board, kit, tmp_path):
    one, other = make_board('tx2'), make_board('agx')
    knob = DevfreqKnob(Sysfs(one), GPU)
    write_state(state_file(tmp_path, 1), Sysfs(one), [(knob.kind, knob.folder, knob.save())])
    assert restore_leftovers(tmp_path, Sysfs(other)) == []
    assert state_file(tmp_path, 1).exists()


def test_nothing_is_changed_where_no_state_can_be_saved(make_platform, kit):
    platform = make_platform('tx2')
    before = kit.seen(platform.files.root)
    state_file(platform.files.root / 'run/s3dnn', os.getpid()).mkdir()
    with pytest.raises(PlatformError, match='nothing was changed'):
        platform.apply(0)
    assert kit.seen(platform.files.root) == before


def test_handlers_of_the_program_stay(make_platform):
    before = {number: signal.getsignal(number)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def mine(number, frame):
        pass

    signal.signal(signal.SIGTERM, mine)
    try:
        platform = make_platform('tx2')
        platform.apply(0)
        assert signal.getsignal(signal.SIGHUP) is before[signal.SIGHUP]
        with restored_at_end(platform):
            assert signal.getsignal(signal.SIGTERM) is mine
            assert signal.getsignal(signal.SIGINT) is before[signal.SIGINT]
            assert signal.getsignal(signal.SIGHUP) is not before[signal.SIGHUP]
        assert signal.getsignal(signal.SIGHUP) is before[signal.SIGHUP]
    finally:
        signal.signal(signal.SIGTERM, before[signal.SIGTERM])


def test_the_watchdog_is_light():
    heavy = ['numpy', 'asyncio', 'urllib.request', 's3dnn_ros.settings', 's3dnn_ros.models']
    code = ('import sys, s3dnn_ros.platforms.watchdog\n'
            f'print([name for name in {heavy} if name in sys.modules])')
    assert subprocess.check_output([sys.executable, '-c', code],
                                   universal_newlines=True) == '[]\n'
