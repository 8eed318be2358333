"""The commands that the documentation gives, page by page."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "infra/README.md", *ROOT.glob("docs/**/*.md")])
# What is not ours: these only have to be known here, with the test that uses them, or because nothing here can run them.
OTHERS = {
    "prefect": "tests/integration/test_deployment.py",
    "ray": "tests/integration/test_ray_client.py",
    "docker": "no engine; tests/unit/test_infra.py reads the files",
    "install": "the file with the secrets of compose",
    "pip": "the extra of pyproject.toml, which the environment has",
    "tensorboard": "tests/unit/test_tracking.py reads with its readers",
    "mlflow": "the whole package, which the environment does not have",
    "source": "the shell's own",
    "export": "the shell's own",
}
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
