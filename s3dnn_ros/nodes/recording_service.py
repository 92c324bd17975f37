"""The service by which an executor writes down what it did lately."""

from __future__ import annotations

import concurrent.futures
import datetime
import shlex
import sys

from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from s3dnn_ros.base.environment import environment
from s3dnn_ros.nodes.deferred_service import DeferredService
from s3dnn_ros.nodes.guarded import sentence_of
from s3dnn_ros.runtime.recording import write_recording

# How often the end of writing is looked for.
LOOK_S = 0.02


class RecordingService:
    """`~/write_recording` of an executor; answers with the file once it is there.

    Parameters
    ----------
    node : ExecutorNode
    runtime : callable
        Returns the Executor that runs; None if nothing is loaded.

    """

    def __init__(self, node, runtime):
        self._node = node
        self._runtime = runtime
        self._service = DeferredService(
            node.create_service(Trigger, '~/write_recording', self._on_request))
        # batches come in the node's own thread, and cannot wait for a file
        self._writer = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-recording')
        self._is_writing = False

    def _on_request(self, request, response):
        runtime = self._runtime()
        if runtime is None:
            response.message = 'nothing is loaded yet: configure the node'
            return response
        if self._is_writing:
            response.message = 'another recording is being written; ask again when it is there'
            return response
        self._is_writing = True
        now = datetime.datetime.now().strftime('%Y%m%d_%H%M%S_%f')
        written = self._writer.submit(self._write, runtime, self._node.settings,
                                      f'{self._node.get_name()}_{now}.json')
        self._service.defer(response)
        # in steady time, as simulated time may stand still
        timer = self._node.create_timer(
            LOOK_S, lambda: self._look(written, timer, response),
            clock=Clock(clock_type=ClockType.STEADY_TIME))
        return response

    @staticmethod
    def _write(runtime, settings, name):
        path = settings.recording.folder / name
        recording = runtime.recording(settings, environment(), shlex.join(sys.argv))
        write_recording(recording.document(), path)
        return path

    def _look(self, written, timer, response):
        if not written.done():
            return
        self._node.destroy_timer(timer)
        self._is_writing = False
        try:
            path = written.result()
        except Exception as error:
            # whatever it is, who asked gets an answer
            response.message = sentence_of(error)
        else:
            response.success, response.message = True, str(path)
        log = self._node.get_logger()
        (log.info if response.success else log.warning)(
            f'recording: {response.message}')
        self._service.answer(response)
