"""Every row of FIGURES: it draws what there is, says so where there is nothing, and is safe to put into the page."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from stored_run import RUN, Made, write_run

from timnet.report.drawing import Drawing
from timnet.report.figures import FIGURES
from timnet.report.gather import gather
from timnet.report.page import HERE
from timnet.report.palette import css
from timnet.store import Store

HOSTILE = Made(
    "OWN", labels=("angry", "<b>&", "</svg><script>", "sad"), speakers=("anna", "<i>", "jörg", "mei", "tom", "zoë")
)
CASES = {
    "two seeds": ((Made("A"),), {}),
    "one fold failed": ((Made("A", failed=frozenset({(46, 1)})),), {}),
    "names that are markup": ((HOSTILE,), {}),
    "no validation": ((Made("A"),), {"protocol": "published"}),
    "leaky": ((Made("A"),), {"protocol": "published-leaky"}),
    "no training": ((Made("A"),), {"protocol": "published", "trained": False}),
    "one epoch": ((Made("A"),), {"n_epochs": 1}),
    "thousands of epochs": ((Made("A"),), {"n_epochs": 3000, "seeds": (1,)}),
    "few recordings": ((Made("A", sentences=("a",)),), {"n_folds": 6}),
    "many labels": ((Made("A", labels=tuple(f"label {i}" for i in range(20))),), {"seeds": (1,)}),
    "nothing finished": ((Made("A", failed=frozenset((s, f) for s in (46, 47) for f in (1, 2, 3))),), {}),
}
STYLES = set(re.findall(r"\.([a-z][\w-]*)", css() + (HERE / "style.css").read_text(encoding="utf-8")))


@pytest.fixture(scope="module", params=CASES)
def corpus(request, tmp_path_factory):
    corpora, options = CASES[request.param]
    store = Store(str(tmp_path_factory.mktemp("store")))
    write_run(store, corpora, **options)
    return gather(store, RUN).corpora[0]


@pytest.fixture(params=FIGURES)
def figure(request):
    return FIGURES[request.param]


def svgs(drawing):
    return [*drawing.panels, *drawing.more, *(sample for sample, _ in drawing.legend)]


def test_draws_or_says_why_not(figure, corpus):
    drawing = figure.draw(corpus)
    if isinstance(drawing, str):
        assert drawing.endswith(".")
        assert not corpus.finished or figure.name in ("learning-curves", "embedding")
        return
    assert isinstance(drawing, Drawing)
    assert drawing.panels
    assert drawing.caption.endswith(".")
    for markup in svgs(drawing):
        root = ElementTree.fromstring(str(markup))  # well-formed, so no name became a tag
        assert root.tag == "svg"
        assert {element.tag for element in root.iter()} <= {
            "svg",
            "polyline",
            "polygon",
            "circle",
            "rect",
            "text",
            "title",
        }
        for element in root.iter():
            assert not any(name == "style" or name.startswith("on") or "href" in name for name in element.attrib)
            assert set(element.get("class", "").split()) <= STYLES
            for name in ("x", "y", "cx", "cy", "width", "height"):
                assert element.get(name, "0") not in ("nan", "inf", "-inf")
            assert "nan" not in element.get("points", "")
        assert not re.search(r"#[0-9a-f]{6}\b", str(markup)), "colours belong into the palette, for dark mode"


def test_can_be_read_without_being_seen(figure, corpus):
    drawing = figure.draw(corpus)
    if isinstance(drawing, str):
        return
    for panel in (*drawing.panels, *drawing.more):
        root = ElementTree.fromstring(str(panel))
        assert root.get("role") == "img"
        assert len(root.get("aria-label", "")) > 20
    assert drawing.numbers.title
    assert drawing.numbers.rows
    assert {len(row) for row in drawing.numbers.rows} == {len(drawing.numbers.header)}


def test_is_the_same_every_time_and_light(figure, corpus):
    first, second = figure.draw(corpus), figure.draw(corpus)
    assert first == second
    if isinstance(first, Drawing):
        assert sum(len(markup) for markup in svgs(first)) < 150_000


def test_names_and_titles(figure):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", figure.name)
    assert figure.section in ("results", "folds", "data")
    assert figure.draw.__doc__ or figure.draw.__module__ != "timnet.report.figures"
