"""The callback of those who want none."""


def ignore(*_) -> None:
    """Do nothing with what a callback is told."""
