"""The fixtures of the real runs."""

from tiny import command, recordings

__all__ = ["command", "recordings"]
