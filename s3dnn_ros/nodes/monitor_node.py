"""A live table of what every camera gets, and a report at the end."""

from __future__ import annotations

import collections
import contextlib
import csv
import functools
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.live import Live
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.msg import Detections, ExecutorStats, StageStats
from s3dnn_ros.nodes.messages import counts_of, ns_of, s_of
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.nodes.running import run
from s3dnn_ros.summary import STAGES, Summary, table

REFRESH_S = 0.5
# where nobody watches, a table now and then is enough
LOG_PERIOD_S = 5.0
# after the last frame, how long the counters may take to agree; they are not asked before STILL_S
SETTLE_S = 5.0
STILL_S = 1.0
KEPT_RESULTS = 100
DOUBTFUL = 0.55
RESULT_FIELDS = ('published_s', 'camera', 'instance', 'latency_ms', 'missed', 'batch')


class _Picture:
    """The best overlay image of one camera so far, and the scores to judge the next."""

    def __init__(self):
        self.scores = collections.OrderedDict()
        self.best = float('-inf')
        self.image = None


class MonitorNode(S3dnnNode):
    """Watches results and counters; draws and writes, but publishes nothing."""

    def __init__(self, **options):
        super().__init__('monitor', **options)
        self.finished = False
        self._summary = Summary()
        self._subscriptions_of = []
        self._timers_of = []
        self._live = None
        self._report_due = False
        self._results = None        # writes the lines of results_file
        self._files = contextlib.ExitStack()

    def start(self, settings):
        """Make the place for the report."""
        self._summary = Summary(settings.settle_s)
        self._pictures = {name: _Picture() for name in settings.camera_names}
        self._finished_s = self._logged_s = None
        self._started_s = None
        self._report_due = False
        if settings.output_directory:
            try:
                Path(settings.output_directory).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ParameterError('output_directory', settings.output_directory,
                                     f'a directory that can be written ({error})') from error
            self._report_due = True
        if settings.results_file:
            self._open_results(settings.results_file)

    def activate(self):
        """Subscribe and show the table."""
        listen = functools.partial(self._listen, qos('reliable', 100))
        for camera in self.settings.camera_names:
            listen(Detections, f'detections/{camera}', self._on_detections)
            if self.settings.pictures and self.settings.output_directory:
                listen(ImageMsg, f'overlay/{camera}',
                       functools.partial(self._on_overlay, self._pictures[camera]))
        listen(StageStats, 'replay/stats', self._on_replay)
        listen(StageStats, 'governor/stats', self._on_governor)
        listen(ExecutorStats, 'executor/stats', self._on_executor)
        if self.settings.table and Console().is_terminal:
            self._live = Live(table(self._summary, final=False), refresh_per_second=4,
                              transient=True)
            self._live.start()
        self._timers_of.append(self.every(REFRESH_S, self._refresh))

    def deactivate(self):
        """Hear nothing more."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        while self._subscriptions_of:
            self.destroy_subscription(self._subscriptions_of.pop())
        while self._timers_of:
            self.destroy_timer(self._timers_of.pop())

    def stop(self):
        """Write the report, if one is wanted and none was written."""
        self._files.close()
        self._results = None
        if self._report_due:
            self._report_due = False
            self._write()

    def _open_results(self, path):
        with contextlib.ExitStack() as files:
            try:
                # by lines, for those who read while it is written
                file = files.enter_context(
                    open(path, 'w', buffering=1, newline='', encoding='utf-8'))
            except OSError as error:
                raise ParameterError('results_file', path,
                                     f'a file that can be written ({error})') from error
            self._files = files.pop_all()
        self._results = csv.writer(file, lineterminator='\n')
        self._results.writerow(RESULT_FIELDS)

    def _listen(self, profile, kind, topic, callback):
        self._subscriptions_of.append(self.create_subscription(kind, topic, callback, profile))

    def _on_detections(self, msg):
        now_s = self.clock_s.now_s()
        self._started_s = self._started_s or now_s
        self._summary.result(
            msg.camera, msg.instance, [item.label for item in msg.detections], msg.latency_ms,
            {stage: getattr(msg, f'{stage}_ms') for stage in STAGES}, now_s)
        if self._results is not None:
            self._results.writerow((
                f'{s_of(msg.header.stamp) + msg.latency_ms / 1e3:.6f}', msg.camera, msg.instance,
                f'{msg.latency_ms:.3f}', int(msg.missed), msg.batch))
        picture = self._pictures[msg.camera]
        # sure finds speak for a picture, doubtful ones against it
        picture.scores[ns_of(msg.header.stamp)] = sum(item.score - DOUBTFUL
                                                      for item in msg.detections)
        while len(picture.scores) > KEPT_RESULTS:
            picture.scores.popitem(last=False)

    def _on_overlay(self, picture, msg):
        score = picture.scores.get(ns_of(msg.header.stamp), float('-inf'))
        if score > picture.best or picture.image is None:
            picture.best = score
            picture.image = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.width, 3)

    def _on_replay(self, msg):
        self._summary.source(counts_of(msg))
        if msg.finished and self._finished_s is None:
            self._finished_s = self.clock_s.now_s()

    def _on_governor(self, msg):
        self._summary.governor(counts_of(msg))

    def _on_executor(self, msg):
        self._summary.engine = msg.engine
        self._summary.models = tuple(dict.fromkeys(msg.models))
        self._summary.power_mw, self._summary.energy_j = msg.power_mw, msg.energy_j
        self._summary.executor(counts_of(msg))

    def _refresh(self):
        now_s = self.clock_s.now_s()
        if self._live is not None:
            self._live.update(table(self._summary, final=False))
        elif self.settings.table and now_s - (self._logged_s or 0.0) >= LOG_PERIOD_S:
            self._logged_s = now_s
            Console().print(table(self._summary, final=False))
        if self.settings.exit_when_finished and self._finished_s is not None:
            settled = self._summary.pending() == 0 and now_s - self._finished_s > STILL_S
            if settled or now_s - self._finished_s > SETTLE_S:
                self.finished = True

    def _write(self):
        seconds = self.clock_s.now_s() - self._started_s if self._started_s else 0.0
        directory = Path(self.settings.output_directory)
        path = directory / 'summary.json'
        path.write_text(json.dumps(self._summary.as_dict(seconds), indent=2) + '\n')
        written = [path]
        for camera, picture in self._pictures.items():
            if picture.image is not None:
                written.append(directory / f'{camera}.png')
                cv2.imwrite(str(written[-1]), picture.image)
        console = Console()
        with contextlib.suppress(BrokenPipeError):
            console.print(table(self._summary))
            for path in written:
                console.print(f'wrote {path}', highlight=False, soft_wrap=True)


def main():
    """Run the monitor until it is stopped, or has seen everything."""
    return sys.exit(run(lambda *_: MonitorNode()))
