"""A file that is being downloaded, `X.part`, and beside it, `X.part.json`, what is known of the version that it is of."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """Of which file, and which version of it, the bytes are that lie here."""

    url: str
    validator: str | None  # a strong ETag or a date; None: the server says nothing that tells versions apart
    n_bytes: int | None  # of the whole file; None: the server does not say


def size(part: Path) -> int:
    """Bytes of a file; 0 where it is not there."""
    return part.stat().st_size if part.exists() else 0


def forget(part: Path) -> None:
    """Empty the file, so that the next download starts anew; who has it open keeps it."""
    _notes(part).unlink(missing_ok=True)
    if part.exists():
        os.truncate(part, 0)


def remove(part: Path) -> None:
    """Remove the file and what lies beside it."""
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def begun(part: Path, url: str) -> tuple[int, Version | None]:
    """Where to go on, and with which version; (0, None) where what lies here cannot be gone on with."""
    try:
        version = Version(**json.loads(_notes(part).read_text("utf-8")))
        start = size(part)
        usable = version.url == url and version.validator and start and start <= (version.n_bytes or start)
    except (OSError, ValueError, TypeError):
        usable = False
    return (start, version) if usable else (0, None)


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def note(part: Path, version: Version) -> None:
    """Write down of which version the bytes are that lie here or come now."""
    temporary = part.with_name(f"{part.name}.json.partial")
    temporary.write_text(json.dumps(asdict(version)), "utf-8")
    temporary.replace(_notes(part))
