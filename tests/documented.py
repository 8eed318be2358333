"""The commands that the documentation gives, page by page."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "infra/README.md", *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Fenced blocks as (language, text); commands stand in those without a language."""
    return [(match[1], match[2]) for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> list[list[str]]:
    """Every command of a page as its words, in order, without comments and variables put before it."""
    lines = [line for language, text in blocks(page) if not language for line in text.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [_without_variables(words) for words in split if words]


def _without_variables(words: list[str]) -> list[str]:
    return words[1:] if len(words) > 1 and re.match(r"[A-Z_]+=", words[0]) else words
