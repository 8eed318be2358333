"""The fixtures of the real runs."""

from s3 import s3, s3_server, store
from served import prefect
from tiny import command, finished, recordings, weights

__all__ = ["command", "finished", "prefect", "recordings", "s3", "s3_server", "store", "weights"]
