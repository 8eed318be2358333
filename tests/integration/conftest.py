"""The fixtures of the real runs."""

from s3 import s3, s3_server, store
from tiny import command, finished, recordings

__all__ = ["command", "finished", "recordings", "s3", "s3_server", "store"]
