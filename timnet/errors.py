"""What can go wrong, each with one argument, the whole message, so that it survives pickling between processes.

A message says what was wrong, what was received, what is allowed and what to do next.
"""


class TimnetError(Exception):
    """Base of every error that a user can mend; the command lines print its text alone, without a traceback."""


class ConfigError(TimnetError):
    """A setting has a value that is not allowed."""


class AudioError(TimnetError):
    """A recording cannot be used: unreadable, empty, silent, too short or not a number."""


class CorpusError(TimnetError):
    """A corpus is missing, incomplete or not what it says it is."""


class SplitError(TimnetError):
    """A protocol cannot be carried out on this corpus, or does not keep what it promises."""


class StoreError(TimnetError):
    """What the store holds is missing, half-written or of another shape than expected."""


class NotThereError(StoreError):
    """A file is not in the store."""


class BrokenFileError(StoreError):
    """A file of the store is there and cannot be read: cut off, overwritten, or written by another version.

    The one error with a second argument: the path in the store, for whoever makes the file again.
    """

    def __init__(self, message: str, path: str = ""):
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])


class WeightsError(TimnetError):
    """A file of weights or features does not fit the model it was given to."""


class TrackingError(TimnetError):
    """A tracker is away or refuses; nothing that a run computes depends on one."""


class DownloadError(TimnetError):
    """A corpus cannot be fetched: its server, the disk, or what came does not do."""


class ArchiveError(TimnetError):
    """An archive is broken, or holds what it must not."""


class ExportError(TimnetError):
    """A trained model cannot be written in a format, or what was written does not give what the model gives."""
