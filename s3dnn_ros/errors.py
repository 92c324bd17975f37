"""Every error the package raises, each a sentence that tells what to do."""

import os
import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlong = 40
_SHORT.maxlevel = 3
_LONGEST = 300
# Of a sentence that is longer than both.
_BEGIN, _END = 1200, 400


def shown(value) -> str:
    """Return a value as a sentence may show it: short, however large it is, and printable."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    try:
        return _SHORT.repr(value)[:_LONGEST]
    except ValueError:
        return 'a number without end'   # Python writes out no more than 4300 digits


class S3dnnError(Exception):
    """Base of all errors that a user can mend; it reads as a sentence, whatever it quotes."""

    def __str__(self):
        """Return the sentence, without its middle if it is long, and without what is no text."""
        text = super().__str__()
        if len(text) > _BEGIN + _END:
            text = f'{text[:_BEGIN]} … {text[-_END:]}'
        # what a file or a message holds must not do anything to a terminal or a log
        return text if text.isprintable() else ''.join(
            letter if letter.isprintable() or letter == '\n' else repr(letter)[1:-1]
            for letter in text)


class ParameterError(S3dnnError, ValueError):
    """A parameter, or a combination of parameters, that cannot be used."""

    def __init__(self, name, value, expected):
        self.name = name
        super().__init__(f"parameter '{name}' is {shown(value)}; {expected}")


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


class DocumentError(S3dnnError, ValueError):
    """What is wrong with a document; who wanted it says which one and what to do."""


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


class TableError(S3dnnError, ValueError):
    """A performance table that cannot be read, or that does not know what it is asked for."""

    def __init__(self, source, sentence):
        self.source = str(source)
        super().__init__(f'{source}: {sentence}')


class WorkloadError(S3dnnError):
    """A workload that cannot be read, or that no strategy can serve."""

    def __init__(self, source, sentence):
        self.source = str(source)
        super().__init__(f'{source}: {sentence}')


class StrategyError(S3dnnError):
    """A strategy that cannot be found, read or used here."""

    def __init__(self, source, sentence):
        self.source = str(source)
        super().__init__(f'{source}: {sentence}')


class RecordingError(S3dnnError):
    """A recording of a run that cannot be read or written."""

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
LASTING = (ParameterError, DocumentError, ModelError, ProfileError, TableError, StrategyError)
