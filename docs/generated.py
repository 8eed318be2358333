"""Pages of the documentation that are made from the code when it is built: options as the commands print them, and tables."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMMANDS = ("cv", "evaluate", "compare", "ablation", "cross_corpus")
MARK = re.compile(r"<!-- made: (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is made in the place of each `<!-- made: NAME -->`; called by mkdocs for every page."""
    return MARK.sub(lambda mark: MADE[mark[1]](), markdown)


def commands() -> str:
    """`--help` of every command, as it is printed."""
    groups = [[sys.executable, "-m", f"flows.{name}"] for name in COMMANDS]
    shown = [_help(f"python -m flows.{name}", command) for name, command in zip(COMMANDS, groups, strict=True)]
    own = [sys.executable, "-m", "flows.main"]
    for path in _below(own, []):
        shown.append(_help(" ".join(["timnet", *path]), [*own, *path]))
    return "\n".join(shown)


def _below(command: list[str], path: list[str]) -> list[list[str]]:
    """Every command of `timnet` that has no commands below it, as its words."""
    said = _said([*command, *path])
    found = re.search(r"\n(COMMAND|ACTION|positional arguments:\n +(?:COMMAND|ACTION))\n((?: {4,}.*\n?)+)", said)
    if not found:
        return [path]
    names = re.findall(r"^ {4}(\w\S*)", found[2], re.MULTILINE)
    return [leaf for name in names for leaf in _below(command, [*path, name])]


def _help(title: str, command: list[str]) -> str:
    return f"## `{title}`\n\n```text\n{_said(command).rstrip()}\n```\n"


def _said(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TIMNET_")} | {
        "COLUMNS": "110"
    }
    return subprocess.run(
        [*command, "--help"], capture_output=True, text=True, check=True, cwd=HERE.parent, env=environment
    ).stdout


def corpora() -> str:
    from timnet import corpora

    rows = ["| corpus | language | recordings | speakers | emotions | licence |", "|---|---|---|---|---|---|"]
    for name in corpora.names():
        card = corpora.get(name)
        n = sum(card.counts.values()) if card.counts else 0
        named = f"{name} (synthetic)" if card.synthetic else name
        rows.append(
            f"| {named} | {card.language} | {n} | {card.n_speakers} | {', '.join(card.labels)} | {card.licence} |"
        )
    return "\n".join(rows)


def protocols() -> str:
    from timnet.splits import PROTOCOLS

    rows = ["| `--protocol` | what it does | what chooses the epoch |", "|---|---|---|"]
    chooses = {"last": "nothing: the last", "validation": "validation data", "test": "**the test fold**"}
    rows += [f"| `{row.name}` | {row.description} | {chooses[row.selection]} |" for row in PROTOCOLS.values()]
    return "\n".join(rows)


def features() -> str:
    from timnet.features import FEATURES

    return _described("--features", {row.name: row.description for row in FEATURES.values()})


def models() -> str:
    from timnet import models

    return _described("--model", {name: models.get(name).description for name in models.names()})


def recipes() -> str:
    from timnet.config import RECIPES

    return _described("--recipe", {row.name: row.description for row in RECIPES.values()})


def formats() -> str:
    from timnet.export import FORMATS

    rows = ["| `--format` | | may differ by |", "|---|---|---|"]
    return "\n".join(
        [*rows, *(f"| `{row.name}` | {row.description} | {row.tolerance:g} |" for row in FORMATS.values())]
    )


def _described(option: str, rows: dict[str, str]) -> str:
    return "\n".join([f"| `{option}` | |", "|---|---|", *(f"| `{name}` | {said} |" for name, said in rows.items())])


MADE = {made.__name__: made for made in (commands, corpora, protocols, features, models, recipes, formats)}
