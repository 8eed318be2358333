"""No page gives a command that does not exist; tests/integration/test_documentation.py runs them."""

import re

import pytest

from flows import command, main
from tests.bench import folds
from tests.documented import OTHERS, PAGES, ROOT, blocks, commands
from timnet.config import AblationSettings, CrossCorpusSettings, EvaluateSettings, RunSettings

FLOWS = {
    "flows.cv": RunSettings,
    "flows.evaluate": EvaluateSettings,
    "flows.ablation": AblationSettings,
    "flows.cross_corpus": CrossCorpusSettings,
}
ALL = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(("page", "words"), ALL, ids=[f"{page.stem}: {' '.join(words)}" for page, words in ALL])
def test_every_command_is_one(page, words):
    match words:
        case ["python", "-m", module, *arguments] if module in FLOWS:
            if arguments != ["--help"]:
                command.parse(module, "", arguments, {}, FLOWS[module])
        case ["python", "-m", module, *_]:
            assert (ROOT / f"{module.replace('.', '/')}.py").exists() or (
                ROOT / module.replace(".", "/") / "__main__.py"
            ).exists()
        case ["timnet", *arguments]:
            main.parser().parse_args(arguments)
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case [program, *_]:
            assert program in OTHERS, f"{page.name} gives {' '.join(words)!r}, which no test knows"


def test_there_are_commands_to_look_at():
    assert len(ALL) > 30
    assert {page.name for page, _ in ALL} >= {"README.md", "tutorial.md", "published.md"}


def test_every_page_with_commands_is_followed():
    """Pages whose commands are all other programs' are tested where OTHERS says."""
    follows = (ROOT / "tests/integration/test_documentation.py").read_text()
    pages = {page for page, words in ALL if words[0] not in OTHERS and words[0] != "make"}
    assert [page.name for page in pages if f'"{page.relative_to(ROOT).as_posix()}"' not in follows] == []


def test_the_page_of_make_bench_folds_gives_no_command_that_is_none(tmp_path):
    look = folds.Look(300.0, 30, 20, 10)
    rows = [(100, 30.0, look, look), (600, 180.0, look, look)]
    page = tmp_path / "folds.md"
    page.write_text(folds.text(rows, folds.options([]), [0.3] * 600, "Report: x\nAll of it took 200.0 s: start 9 s\n"))
    assert blocks(page) == [("text", "All of it took 200.0 s: start 9 s\n")]
    assert "600 folds (6 corpora, 10 folds, 10 seeds)" in page.read_text()
    assert "A fold took 0.30 s" in page.read_text()
