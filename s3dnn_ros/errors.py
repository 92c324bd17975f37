"""Every error the package raises, each a sentence that tells what to do."""


class S3dnnError(Exception):
    """Base of all errors that a user can mend."""


class ParameterError(S3dnnError, ValueError):
    """A parameter, or a combination of parameters, that cannot be used."""

    def __init__(self, name, value, expected):
        self.name = name
        super().__init__(f"parameter '{name}' is {value!r}; {expected}")


class ImageError(S3dnnError):
    """An image that cannot become a network input; `reason` is one word for counters."""

    def __init__(self, reason, sentence):
        self.reason = reason
        super().__init__(sentence)


class DepthError(S3dnnError):
    """Why a result has no distances; `reason` is one word for counters."""

    def __init__(self, reason, sentence):
        self.reason = reason
        super().__init__(sentence)


class ModelError(S3dnnError):
    """A model description or model file that cannot be used."""

    def __init__(self, source, sentence):
        self.source = str(source)
        super().__init__(f'{source}: {sentence}')


class ProfileError(S3dnnError):
    """A profile that cannot be read, or that was measured on something else."""

    def __init__(self, source, sentence):
        self.source = str(source)
        super().__init__(f'{source}: {sentence}')


class FetchError(S3dnnError):
    """A download that failed or whose content has the wrong hash."""


class RingError(S3dnnError):
    """A shared-memory segment that cannot be created, attached or read."""


class StaleSlotError(RingError):
    """A slot that was taken back by its owner before it was read."""


class MessageError(S3dnnError):
    """A message of somebody else that nobody can use."""


class RequestError(MessageError):
    """A batch whose pixels are not where, or not what, its front end says."""


class EngineError(S3dnnError):
    """A network that cannot be loaded or whose run failed; names the instance."""

    def __init__(self, instance, sentence):
        self.instance = instance
        super().__init__(f"instance '{instance}': {sentence}")


class BuildError(S3dnnError):
    """A segment that TensorRT cannot build, read or run here; names it."""

    def __init__(self, source, sentence):
        self.source = str(source)
        self.sentence = sentence
        super().__init__(f'{source}: {sentence}')

    def __reduce__(self):
        """Let it come from another process."""
        return type(self), (self.source, self.sentence)


class PassingBuildError(BuildError):
    """A build that failed of what the next one need not meet: full memory, a killed process."""


class SlowBuildError(BuildError):
    """A build that was given up because of its time."""


class RestartError(S3dnnError):
    """A network that takes nothing until it has been loaded again."""


class PlatformError(S3dnnError):
    """A board's control file, power rail or lock that cannot be used; names it."""

    def __init__(self, source, sentence):
        self.source = str(source)
        super().__init__(f'{source}: {sentence}')


# They come back at every start until the user changes something.
LASTING = (ParameterError, ModelError, ProfileError)
