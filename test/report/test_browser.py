"""The page in a real browser: it draws, hides, zooms, and asks nobody for anything."""

import json
import shutil

import pytest
from runs import lab_results, many, recording

pytest.importorskip('selenium')
pytest.importorskip('plotly', minversion='5.18')

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from s3dnn_ros.report.page import Results, page, plotly_script, sections

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which(
    'google-chrome')
DRIVER = shutil.which('chromedriver')
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason='no Chromium with its driver; '
                                'on Debian: apt install chromium chromium-driver')
WAIT_S = 60.0
ARGUMENTS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--window-size=1280,900', '--disable-background-networking', '--no-first-run')
EVIL = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'


class Browser:
    """A page that is open in Chromium."""

    def __init__(self, driver):
        self._driver = driver

    def open(self, path):
        """Open a page, and wait until all its figures are drawn."""
        self._driver.get(path.as_uri())
        self.wait_for('return document.documentElement.dataset.drawn !== undefined')

    def run(self, script, *arguments):
        """Return what a script of the page returns."""
        return self._driver.execute_script(script, *arguments)

    def wait_for(self, script):
        """Wait until a script of the page returns what is true."""
        WebDriverWait(self._driver, WAIT_S).until(lambda driver: driver.execute_script(script))

    def find(self, css):
        """Return an element."""
        return self._driver.find_element(By.CSS_SELECTOR, css)

    def drag(self, css, begin, end):
        """Drag within an element, from one share of its width to another."""
        element = self.find(css)
        self.run('arguments[0].scrollIntoView({block: "center"})', element)
        width = element.size['width']
        webdriver.ActionChains(self._driver).move_to_element_with_offset(
            element, int((begin - 0.5) * width), 0).click_and_hold().move_by_offset(
            int((end - begin) / 2 * width), 0).move_by_offset(
            int((end - begin) / 2 * width), 0).release().perform()

    def answer(self, script):
        """Return what a script of the page hands to its last argument, later."""
        return self._driver.execute_async_script(script)

    def resize(self, width):
        """Make the window so many pixels wide."""
        self._driver.set_window_size(width, 900)

    def colour_scheme(self, name):
        """Have the user prefer light or dark."""
        self._driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {
            'features': [{'name': 'prefers-color-scheme', 'value': name}]})

    def asked(self):
        """Return the addresses that the page has asked for since it was opened."""
        messages = [json.loads(entry['message'])['message']
                    for entry in self._driver.get_log('performance')]
        return [message['params']['request']['url'] for message in messages
                if message['method'] == 'Network.requestWillBeSent']

    def errors(self):
        """Return what the console says since the last call."""
        return self._driver.get_log('browser')


@pytest.fixture(scope='module')
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    # it ends with the block
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield Browser(driver)


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    runs = [('a run', recording(*many(300, ('front', EVIL, 'rear')))),
            (EVIL, Results(lab_results(), [EVIL]))]
    path = tmp_path_factory.mktemp('report') / 'page.html'
    path.write_text(page(sections(runs), plotly_script()), encoding='utf-8')
    return path


@pytest.fixture
def opened(browser, path):
    """Return the browser with the page open, as at first; it must not complain until the end."""
    browser.open(path)
    yield browser
    assert not browser.errors()
    assert not browser.run('return window.hacked')
    for address in browser.asked():
        assert address == path.as_uri() or address.startswith(('data:', 'blob:')), address


RANGES = """const layout = document.querySelector('.plot')._fullLayout;
return ['xaxis', 'xaxis2', 'xaxis3', 'xaxis4'].map((name) => layout[name].range);"""
BARS = "return document.querySelectorAll('.plot')[0].querySelectorAll('.barlayer .point').length"


def test_every_figure_is_drawn(opened):
    assert opened.run("return document.querySelectorAll('.plot .main-svg').length") >= 2
    assert opened.run(BARS) > 300


def test_a_click_on_the_legend_hides_a_trace(opened):
    whole = opened.run(BARS)
    opened.find('.plot .legend .legendtoggle').click()
    opened.wait_for(f'{BARS} < {whole}')
    shown = "return document.querySelector('.plot').data[0].visible"
    assert opened.run(shown) == 'legendonly'


def test_the_keyboard_hides_a_trace_too(opened):
    whole = opened.run(BARS)
    opened.find('.plot .legend [role=button]').send_keys(Keys.ENTER)
    opened.wait_for(f'{BARS} < {whole}')
    pressed = "return document.querySelector('.plot .legend [role=button]').ariaPressed"
    assert opened.run(pressed) == 'false'
    opened.find('.plot .legend [role=button]').send_keys(Keys.SPACE)
    opened.wait_for(f'{BARS} == {whole}')


def test_zooming_into_one_panel_zooms_all(opened):
    before = opened.run(RANGES)
    opened.drag('.plot .nsewdrag[data-subplot=x2y2]', 0.3, 0.6)
    opened.wait_for(f'{RANGES.replace("return", "const ranges =")}'
                    f'return ranges[0][1] < {0.8 * before[0][1]}')
    after = opened.run(RANGES)
    assert all(extent == after[0] for extent in after)
    assert after[0] == pytest.approx([0.3 * before[0][1], 0.6 * before[0][1]],
                                     abs=0.05 * before[0][1])


@pytest.mark.parametrize('by', ['button', 'key'])
def test_buttons_and_keys_zoom_and_go_back(opened, by):
    before = opened.run(RANGES)[0]
    for action, key, width in (('in', '+', 0.5), ('later', Keys.ARROW_RIGHT, 0.5),
                               ('out', '-', 1.0), ('all', '0', 1.0)):
        if by == 'button':
            opened.find(f'figure button[data-action={action}]').click()
        else:
            opened.find('.plot').send_keys(key)
        expected = width * (before[1] - before[0])
        opened.wait_for("const range = document.querySelector('.plot')._fullLayout.xaxis.range;"
                        f'return Math.abs(range[1] - range[0] - {expected}) < 1e-6')
    assert opened.run(RANGES)[0] == before


def test_names_are_shown_as_they_are(opened):
    texts = opened.run("return [...document.querySelectorAll('.plot .ytick text')]"
                       '.map((each) => each.textContent)')
    assert any(text.startswith('<script>window') for text in texts)
    assert EVIL in opened.find('h2[id], #run-1 h2').text


def test_the_page_is_dark_for_those_who_want_it_dark(opened):
    ground = "return document.querySelector('.plot')._fullLayout.paper_bgcolor"
    opened.colour_scheme('light')
    opened.wait_for(f'{ground} === "#ffffff"')
    opened.colour_scheme('dark')
    opened.wait_for(f'{ground} === "#14171b"')
    opened.colour_scheme('light')


def test_a_figure_is_saved_as_a_png_without_a_network(opened):
    found = """const done = arguments[arguments.length - 1];
    Plotly.toImage(document.querySelector('.plot'), {format: 'png', width: 900, height: 500})
      .then(done, (error) => done(String(error)));"""
    assert opened.answer(found).startswith('data:image/png;base64,iVBOR')


def test_a_narrow_page_does_not_scroll_sideways(opened):
    opened.resize(800)
    try:
        opened.wait_for('return document.documentElement.scrollWidth <= window.innerWidth')
    finally:
        opened.resize(1280)
