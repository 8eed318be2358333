"""index.html: complete, self-contained, escaped, and readable by everybody."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from stored_run import RUN, Made, write_run

from timnet import report
from timnet.report import palette
from timnet.store import Store

SCRIPT = "<script>alert('x')</script>"
HOSTILE = Made(
    f"Grüße {SCRIPT}",
    labels=("angry", "happy", f"{SCRIPT}", '"><img src=x onerror=alert(1)>'),
    speakers=("anna", "bo", f"jörg{SCRIPT}", "mei", "tom", "zoë"),
    failed=frozenset({(46, 2)}),
    error=f"Traceback\n  {SCRIPT}",
    problems=({"kind": "unreadable", "message": f"bad {SCRIPT}", "path": f"wav/{SCRIPT}.wav"},),
    notes=(f"note {SCRIPT}",),
    title=f"title {SCRIPT}",
)
DEMO = Made("DEMO", synthetic=True)
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; notes what is not closed in the right order."""

    def __init__(self, source):
        super().__init__()
        self.source, self.tags, self.words, self.faults, self._open = source, [], [], [], []
        self.feed(source)
        self.faults += self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def page_of(folder, *corpora, **options):
    store = Store(str(folder))
    write_run(store, corpora, **options)
    summary = report.build(store, RUN)
    return Page(store.read_bytes(f"runs/{RUN}/report/index.html").decode()), summary


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("store"), HOSTILE, DEMO)


def test_is_well_formed(hostile):
    assert hostile[0].faults == []
    ids = [attrs["id"] for _, attrs in hostile[0].tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert hostile[0].all("html")[0]["lang"] == "en"


def test_what_comes_from_outside_is_text(hostile):
    page, _ = hostile
    assert not page.all("script")
    assert not page.all("img")
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert page.text.count(SCRIPT) > 20  # it is shown, as what it is
    for where in (f"Grüße {SCRIPT}", f"title {SCRIPT}", f"bad {SCRIPT}", f"wav/{SCRIPT}.wav", f"note {SCRIPT}", "jörg"):
        assert where in page.text


def test_loads_nothing(hostile):
    page, _ = hostile
    for tag, attrs in page.tags:
        for name in ("src", "href", "data", "srcset", "action"):
            if name in attrs:
                assert attrs[name] == "data:," or re.fullmatch(r"#[\w-]+|[\w-]+\.\w+", attrs[name]), (tag, attrs)
        assert "style" not in attrs
    assert not re.search(r"url\(|@import|@font-face", page.source)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")


def test_links_lead_somewhere(hostile):
    page, _ = hostile
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = [a["href"] for a in page.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= targets
    assert {"summary.json", "results.xlsx", "metrics.parquet", "predictions.parquet"} <= set(links)


def test_headline_numbers_are_the_summary_s(hostile):
    page, summary = hostile
    for corpus in summary["corpora"].values():
        for score in ("war", "uar"):
            assert f"{100 * corpus['pooled'][score]:.2f} %" in page.text
            low, high = corpus["interval"][score]
            assert f"{100 * low:.2f} to {100 * high:.2f} %" in page.text
            assert f"{100 * corpus['fold_mean'][score]:.2f} ± {100 * corpus['fold_sd'][score]:.2f} %" in page.text
        for row in corpus["classes"]:
            assert f"{100 * row['precision']:.2f} %" in page.text


def test_confusion_matrix_is_complete(hostile):
    page, summary = hostile
    n_cells = sum(attrs.get("class", "").startswith(("hit", "miss")) for attrs in page.all("td"))
    assert n_cells == sum(len(corpus["labels"]) ** 2 for corpus in summary["corpora"].values())
    labels, counts = (summary["corpora"]["DEMO"]["confusion"][key] for key in ("labels", "counts"))
    n, total = counts[0][0], sum(counts[0])
    tips = [attrs["title"] for attrs in page.all("td") if "title" in attrs]
    assert f"{labels[0]}, recognised as {labels[0]}: {n} of {total} ({100 * n / total:.2f} %)" in tips


def test_failed_fold_is_named(hostile):
    page, summary = hostile
    assert "Seed 46 fold 2 failed: Traceback" in page.text
    assert "11 of 12 folds finished" in page.text
    assert summary["folds_completed"] == 11


def test_synthetic_is_marked_wherever_the_corpus_is_named(hostile):
    page, _ = hostile
    assert page.text.count("DEMO synthetic") == 3  # in the headline, the overview and its own part
    assert page.text.count("SYNTHETIC: made by a program") == 1


def test_leaky_page_warns_in_red(tmp_path):
    leaky, _ = page_of(tmp_path / "leaky", Made("A"), protocol="published-leaky")
    assert leaky.text.count("these numbers are too good") == 1
    assert sum("flattered" in attrs.get("class", "") for attrs in leaky.all("p")) == 2
    honest, _ = page_of(tmp_path / "honest", Made("A"), protocol="published")
    assert "too good" not in honest.text
    assert not any("flattered" in attrs.get("class", "") for attrs in honest.all("p"))


def test_one_corpus_has_no_overview(tmp_path):
    page, _ = page_of(tmp_path, Made("A"))
    assert "Overview" not in page.text


def test_recipe_of_each_corpus(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("A"), Made("B")))
    facts = store.read_json(f"runs/{RUN}/run.json")
    facts["recipe"] = {"A": facts["recipe"], "B": {**facts["recipe"], "epochs": 77}}
    store.write_json(f"runs/{RUN}/run.json", facts)
    report.build(store, RUN)
    page = Page(store.read_bytes(f"runs/{RUN}/report/index.html").decode())
    assert {"Recipe (A)", "Recipe (B)"} <= set(page.words)
    assert "epochs 77" in page.text.replace("epochs77", "epochs 77")


def test_lists_have_an_end(tmp_path):
    """Thousands of skipped files, speakers or folds leave the page readable; what is cut says so."""
    problems = tuple({"kind": "empty", "message": f"file {i} is empty", "path": f"{i}.wav"} for i in range(3000))
    many = Made("MANY", speakers=tuple(f"s{i:03}" for i in range(90)), problems=problems, twins=50)
    page, _ = page_of(tmp_path, many, seeds=(46,))
    assert "the first 100 of 3000; all are in manifests/MANY/k/problems.json" in page.text
    assert "file 99 is empty" in page.text
    assert "file 100 is empty" not in page.text
    assert "and 30 more" in page.text


def test_large_page_stays_small(tmp_path):
    large = Made("LARGE", speakers=tuple(f"s{i}" for i in range(20)), sentences=tuple(map(str, range(6))))
    page, _ = page_of(tmp_path, large, seeds=(1, 2, 3), n_folds=10, n_epochs=500)
    assert len(page.source.encode()) < 1_000_000


def test_text_on_every_colour_can_be_read():
    for dark in (False, True):
        colours = {name: pair[dark] for name, pair in palette.COLOURS.items()}
        for name in ("ink", "muted", "accent", "alarm", "made-up"):
            assert palette.contrast(colours[name], colours["page"]) >= 4.5, (name, dark)
            assert palette.contrast(colours[name], colours["card"]) >= 4.5, (name, dark)
        for name in ("alarm", "made-up"):
            assert palette.contrast(colours[name], colours[f"{name}-page"]) >= 4.5, (name, dark)
        for hit in (True, False):
            for step in range(palette.STEPS + 1):
                background, ink = palette.heat(hit, step, dark)
                assert palette.contrast(background, ink) >= 4.5, (hit, step, dark)
        for n, pair in enumerate(palette.EMOTION_COLOURS):
            assert palette.contrast(pair[dark], colours["card"]) >= 3, (n, dark)
            assert palette.contrast(pair[dark], colours["page"]) >= 3, (n, dark)


def test_contrast_is_that_of_wcag():
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_every_class_that_is_used_has_a_style(hostile):
    page, _ = hostile
    styled = set(re.findall(r"\.([a-z][\w-]*)", re.search(r"<style>(.*?)</style>", page.source, re.S)[1]))
    used = {name for _, attrs in page.tags for name in (attrs.get("class") or "").split()}
    without = {name for name in used - styled if not name.startswith("figure-")}
    assert without <= {"corpus", "classes"}


def test_emotions_differ_in_colour_and_shape():
    labels = [
        "angry",
        "calm",
        "disgust",
        "fear",
        "happy",
        "neutral",
        "sad",
        "surprise",
        "boredom",
        "hope",
        "zeal",
        "awe",
    ]
    slots = palette.slots(labels)
    assert len({palette.colour_class(slot) for slot in slots.values()}) == 12
    assert palette.slots(["zeal", "angry"])["angry"] == slots["angry"] == 0
    many = palette.slots([f"label {i}" for i in range(30)])
    assert len({(palette.colour_class(slot), palette.shape(slot)) for slot in many.values()}) == 30


@pytest.mark.browser
def test_fits_a_phone(tmp_path):
    """No part of the page is wider than a phone, except what scrolls inside itself."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    page, _ = page_of(tmp_path / "store", replace(HOSTILE, name="x" * 60), DEMO)
    inner = tmp_path / "inner.html"
    inner.write_text(
        re.sub(r"<meta http-equiv[^>]*>", "", page.source).replace("<details>", "<details open>"), encoding="utf-8"
    )
    outer = tmp_path / "outer.html"  # a frame, because a window cannot be as narrow as a phone everywhere
    outer.write_text(
        f'<iframe src="{inner.as_uri()}" width="390" height="800" onload="document.title = '
        'this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000",
            "--dump-dom", outer.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    width = re.search(r"<title>(\d+)</title>", done.stdout)
    assert width, done.stdout[:500]
    assert int(width[1]) <= 390
