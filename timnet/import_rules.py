"""How a folder or table of somebody's own is to be read: its names for columns and emotions, and what its files' names say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from timnet.corpora.recordings_table import COLUMNS
from timnet.errors import ConfigError

GROUPS = COLUMNS[1:]  # what a file name may say


@dataclass(frozen=True)
class Rules:
    """How what lies there is to be read; empty where it is as this program has it anyway."""

    columns: Mapping[str, str]  # one of COLUMNS -> what it is called in the table
    labels: Mapping[str, str]  # an emotion as it is written -> as it shall be called
    pattern: str | None = None  # a regular expression with some of GROUPS: a whole file name, or the end of a path
    speaker_from: str | None = None  # a regular expression, whose group or else all that it finds is the speaker
    audio_root: str | None = None  # what the table's paths are relative to; None: its own folder

    def check(self) -> None:
        """Raises ConfigError for a column that there is not, and for what is no expression or has other groups."""
        if unknown := sorted(self.columns.keys() - set(COLUMNS)):
            raise ConfigError(
                f"--column {unknown[0]}=…: there is no column {unknown[0]}; allowed are {', '.join(COLUMNS)}."
            )
        _check_expression("--speaker-from", self.speaker_from)
        _check_expression("--pattern", self.pattern)
        if self.pattern is None:
            return
        groups = self.says()
        if not groups or not groups <= set(GROUPS):
            raise ConfigError(
                f"--pattern {self.pattern}: its named groups say what a part of a file name is, such as "
                f"(?P<speaker>\\d+)_(?P<emotion>\\w+)\\.wav; allowed are {', '.join(GROUPS)}, received "
                f"{', '.join(sorted(groups)) or 'no named group'}."
            )
        if self.speaker_from is not None and "speaker" in groups:
            raise ConfigError("--pattern has a group speaker, and --speaker-from says it, too. Give one of them.")

    def says(self) -> set[str]:
        """What the pattern takes out of a file name."""
        return set(re.compile(self.pattern).groupindex) if self.pattern is not None else set()

    def said_by(self, path: str) -> dict[str, str] | None:
        """What a path says by the two expressions; None where it does not follow one of them."""
        said: dict[str, str] = {}
        if self.pattern is not None:
            parts = path.split("/")
            ends = [parts[-1], *("/".join(parts[first:]) for first in range(len(parts) - 1))]
            match = next(filter(None, (re.fullmatch(self.pattern, end) for end in ends)), None)
            if match is None:
                return None
            said = {name: text for name, text in match.groupdict().items() if text}
        if self.speaker_from is not None:
            found = re.search(self.speaker_from, path)
            if found is None or not found[0]:
                return None
            said["speaker"] = next(filter(None, found.groups()), found[0])
        return said


def _check_expression(option: str, given: str | None) -> None:
    try:
        re.compile(given or "")
    except re.error as error:
        raise ConfigError(f"{option} {given} is no regular expression: {error}.") from error
