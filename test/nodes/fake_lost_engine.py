"""An executor on a fake engine that is lost with its first batch, as a GPU after a bad kernel."""

from s3dnn_ros.engines import onnxruntime_engine
from s3dnn_ros.nodes.executor_node import main


class FakeLostEngine(onnxruntime_engine.OnnxRuntimeEngine):
    """Answers everything with the same error from its first batch on."""

    loss = ''

    def load(self, *arguments, **options):
        if self.loss:
            raise RuntimeError(self.loss)
        return super().load(*arguments, **options)

    def submit(self, step, done):
        self.loss = 'an illegal memory access was encountered'
        super().submit(self._fail, done)

    def lost(self):
        return self.loss

    def _fail(self):
        raise RuntimeError(self.loss)


if __name__ == '__main__':
    onnxruntime_engine.OnnxRuntimeEngine = FakeLostEngine
    main()
