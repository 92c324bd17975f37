"""A lane whose jobs wait on the device."""

from s3dnn_ros.engines.gates.gated_jobs import GatedJobs
from s3dnn_ros.engines.lanes import Launched


class GatedLane:
    """What the lanes of all engines do by their `GatedJobs`; in front of an engine's own lane.

    Segments are launched by a store: the graph waits for it. There is one level of urgency, as a
    job that is armed has a stream already.
    """

    _jobs: GatedJobs

    def still_to_do(self, batch):
        """Return how far a job is from its begin here, to compare lanes."""
        armed = self._jobs.armed
        # for another batch, what is armed must run first
        return 0 if armed == batch else 2 if armed else 1

    def take(self, *_):
        """Do nothing: a job keeps its stream."""

    def launch_all(self, batch, first, variants):
        """Let segments go on, unless the job is held; see UngatedLane."""
        return Launched(first + len(variants) - 1, exact=self._jobs.launch(first, variants))

    def hold(self):
        """Stop behind the segment that runs; tell whether any is left then."""
        return self._jobs.hold()

    def resume(self):
        """Go on with what was submitted."""
        self._jobs.resume()

    def progress(self):
        """Return how many segments have ended."""
        return self._jobs.progress()

    def repeat(self, batch):
        """Run the whole job once more, on the images of the last one."""
        self._jobs.repeat(batch)

    def send(self, batch):
        """Return the outputs; they are there when the job has ended."""
        return self._jobs.outputs(batch)

    def mark(self, segment):
        """Return the mark behind a segment; behind the last, the outputs are there."""
        return self._jobs.mark(segment)

    def leave(self):
        """Let all go on that still waits: no more segments are launched."""
        self._jobs.leave()
