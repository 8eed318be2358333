"""The fixtures of the real runs."""

from tiny import command, finished, recordings

__all__ = ["command", "finished", "recordings"]
