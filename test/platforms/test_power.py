"""Rails are found by name, garbage is left out, and power adds up to energy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.platforms.power import EnergyCounter, PowerMeter, PowerSampler
from s3dnn_ros.platforms.sysfs import Sysfs

TX2_INPUT = 'sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power0_input'
TX2_GPU = 'sys/bus/i2c/drivers/ina3221x/0-0040/iio:device0/in_power0_input'
AGX_CPU = 'sys/class/hwmon/hwmon3/curr2_input'


@pytest.mark.parametrize('board, rails_mw, total_mw', [
    ('tx2', {'VDD_SYS_GPU': 152, 'VDD_SYS_SOC': 457, 'VDD_4V0_WIFI': 19, 'VDD_IN': 2210,
             'VDD_SYS_CPU': 304, 'VDD_SYS_DDR': 422}, 2210),
    ('agx', {'GPU': 900, 'CPU': 450, 'SOC': 1800, 'CV': 0, 'VDDRQ': 400, 'SYS5V': 2000}, 5550),
    ('nx', {'VDD_IN': 4000, 'VDD_CPU_GPU_CV': 750, 'VDD_SOC': 1000}, 4000),
    ('orin', {'VDD_GPU_SOC': 2985, 'VDD_CPU_CV': 995, 'VIN_SYS_5V0': 4500,
              'VDDQ_VDD2_1V8AO': 500}, 8480),
    ('nano', {'POM_5V_IN': 1850, 'POM_5V_GPU': 40, 'POM_5V_CPU': 365}, 1850),
    ('thor', {'VDD_GPU': 2388, 'VDD_CPU_SOC_MSS': 6567, 'VIN_SYS_5V0': 6500, 'VIN': 23000},
     23000),
])
def test_all_layouts(make_board, board, rails_mw, total_mw):
    meter = PowerMeter(Sysfs(make_board(board)))
    assert meter.rails_mw() == pytest.approx(rails_mw)
    assert meter.total_mw(meter.rails_mw()) == pytest.approx(total_mw)


def test_a_sensor_without_a_name_is_no_total(make_board):
    root = make_board('thor')
    (root / 'sys/class/hwmon/hwmon3/label').unlink()
    meter = PowerMeter(Sysfs(root))
    assert len(meter.rails_mw()) == 3 and not meter.knows_total


def test_no_rails(tmp_path):
    meter = PowerMeter(Sysfs(tmp_path))
    assert meter.rails_mw() == {}
    assert meter.total_mw({}) is None


@pytest.mark.parametrize('text', ['', 'nan', 'abc', '-5', 'inf', '1 2', '9' * 20])
@pytest.mark.parametrize('board, rail, name', [
    ('tx2', 'VDD_SYS_GPU', TX2_GPU), ('agx', 'CPU', AGX_CPU)])
def test_a_rail_that_reads_garbage(make_board, kit, text, board, rail, name, said):
    root = make_board(board)
    meter = PowerMeter(Sysfs(root))
    before_mw = meter.rails_mw()
    good = (root / name).read_text()
    kit.write(root, name, f'{text}\n')
    for _ in range(3):
        assert meter.rails_mw() == {other: power_mw for other, power_mw in before_mw.items()
                                    if other != rail}
    assert meter.failures == {rail: 3}
    assert len(said) == 1
    assert rail in said[0]
    kit.write(root, name, good)
    assert meter.rails_mw() == before_mw


def test_another_device_that_cannot_be_read_does_not_hide_the_rails(make_board, said):
    root = make_board('agx')
    other = root / 'sys/class/hwmon/hwmon0/name'
    other.unlink()
    other.mkdir()
    assert len(PowerMeter(Sysfs(root)).rails_mw()) == 6
    assert len(said) == 1 and str(other) in said[0]


def test_a_total_is_never_a_part(make_board):
    tx2, agx = make_board('tx2'), make_board('agx')
    for root, name in ((tx2, TX2_INPUT), (agx, AGX_CPU)):
        meter = PowerMeter(Sysfs(root))
        (root / name).unlink()
        assert meter.total_mw(meter.rails_mw()) is None
        assert len(meter.rails_mw()) == 5


@given(st.floats(0, 1e5), st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_constant_power_for_a_time(power_mw, steps_s):
    counter, now_s = EnergyCounter(), 50.0
    counter.add(now_s, {'a': power_mw})
    for step_s in steps_s:
        now_s += step_s
        counter.add(now_s, {'a': power_mw})
    assert counter.energy_mj['a'] == pytest.approx(power_mw * sum(steps_s), rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1e5)), min_size=1, max_size=20))
def test_a_straight_line_is_followed_exactly_whatever_is_missing(samples):
    counter = EnergyCounter()
    counter.add(0.0, {'a': 0.0})
    end_s = 0.0
    for step_s, _ in samples:
        end_s += step_s
        counter.add(end_s, {} if int(end_s) % 2 else {'a': 7.0 * end_s})
    counter.add(end_s, {'a': 7.0 * end_s})
    assert counter.energy_mj['a'] == pytest.approx(7.0 * end_s ** 2 / 2, rel=1e-6, abs=1e-6)


def test_a_clock_that_goes_back_adds_nothing():
    counter = EnergyCounter()
    for now_s in (10.0, 12.0, 5.0, 6.0):
        counter.add(now_s, {'a': 100.0})
    assert counter.energy_mj['a'] == pytest.approx(300.0)


def test_energy_of_all_rails(make_board, kit):
    clock = kit.FakeClock()
    sampler = PowerSampler(PowerMeter(Sysfs(make_board('tx2'))), clock)
    clock.moment_s += 2.5
    assert sampler.energy_mj() == pytest.approx(2210 * 2.5)
    assert sampler.power_mw() == 2210
    assert sampler.rails_mj()['VDD_SYS_GPU'] == pytest.approx(152 * 2.5)
    assert set(sampler.rails_mj()) == {'VDD_IN', 'VDD_SYS_GPU', 'VDD_SYS_SOC', 'VDD_4V0_WIFI',
                                       'VDD_SYS_CPU', 'VDD_SYS_DDR'}


def test_no_total_no_energy(tmp_path, kit):
    meter = PowerMeter(Sysfs(tmp_path))
    sampler = PowerSampler(meter, kit.FakeClock())
    assert not meter.knows_total
    assert sampler.energy_mj() is None
    assert sampler.power_mw() is None


def test_energy_goes_on_without_a_rail_that_vanishes(make_board, kit):
    root, clock = make_board('tx2'), kit.FakeClock()
    meter = PowerMeter(Sysfs(root))
    sampler = PowerSampler(meter, clock)
    (root / TX2_GPU).unlink()
    clock.moment_s += 1.0
    assert sampler.energy_mj() == pytest.approx(2210)
    assert sampler.rails_mj()['VDD_SYS_GPU'] == 0.0
    assert meter.failures['VDD_SYS_GPU'] == 2


def test_a_total_that_comes_back_was_drawn_in_between(make_board, kit):
    root, clock = make_board('tx2'), kit.FakeClock()
    sampler = PowerSampler(PowerMeter(Sysfs(root)), clock)
    good = (root / TX2_INPUT).read_text()
    (root / TX2_INPUT).unlink()
    clock.moment_s += 1.0
    assert (sampler.energy_mj(), sampler.power_mw()) == (0.0, None)
    kit.write(root, TX2_INPUT, good)
    clock.moment_s += 1.0
    assert (sampler.energy_mj(), sampler.power_mw()) == (pytest.approx(2210 * 2.0), 2210)
