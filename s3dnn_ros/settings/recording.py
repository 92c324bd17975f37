"""What an executor keeps of what it did, to be written when asked: part of its parameters."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from s3dnn_ros.base.cache import cache_dir
from s3dnn_ros.base.content import full_path
from s3dnn_ros.settings.parameters import parameter


@dataclasses.dataclass(frozen=True)
class RecordingSettings:
    """Recordings: `recording_rows`, `recording_directory`."""

    rows: int = parameter(1 << 14, 'So many of the newest stamps are kept for recordings; a '
                          'request takes 4, and 2 for each segment. 16384 are 10 s of 100 '
                          'requests per second in 6 segments.', low=1, high=1 << 18)
    directory: str = parameter('', 'Folder for the recordings that the service ~/write_recording '
                               'writes, and `s3dnn report` draws. Empty: recordings/ in '
                               '$S3DNN_CACHE, or in ~/.cache/s3dnn.', live=True)

    @property
    def folder(self) -> Path:
        """Return the folder; DocumentError if its user is not here."""
        return full_path(self.directory) if self.directory else cache_dir() / 'recordings'
