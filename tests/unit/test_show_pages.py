"""What `timnet show` answers, over a real connection; tests/integration has the command and a real browser."""

import http.client
import io
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import uvicorn
from stored_run import RUN, Made, write_run
from test_report_page import DEMO, HOSTILE, SCRIPT, Page

from flows.pages import HEADERS, application
from timnet import cross_corpus, report, tables
from timnet.features import extract
from timnet.report import browse, palette
from timnet.report.page import css, served_css
from timnet.report.ranking import Ranking
from timnet.report.shown import Shown
from timnet.store import Store

SMALL = Made("A", speakers=("anna", "bo", "jörg", "mei"), sentences=("a01", "b02"), skill=0.6)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True)
class Client:
    """Sends what it is given as it is: no path is tidied up, and any Host may be claimed."""

    shown: Shown
    port: int

    def get(self, address: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, address, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        got = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return got

    def ranking(self, corpus: str) -> Ranking:
        return self.shown.ranking(corpus)


@contextmanager
def served(shown: Shown) -> Iterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application(shown), log_level="warning", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Client(shown, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a run and its recordings."""
    root = tmp_path_factory.mktemp("shown")
    store = Store(str(root / "store"))
    write_run(store, (SMALL, Made("MANY", speakers=tuple(f"s{i:02}" for i in range(13)))), data_root=root / "data")
    report.build(store, RUN)
    return store, root / "data"


@pytest.fixture(scope="module")
def client(place):
    with served(Shown.of(place[0], RUN)) as client:
        yield client


def page(client, address, status=200):
    answer = client.get(address)
    assert answer.status == status, answer.text
    found = Page(answer.text)
    assert found.faults == []
    return found


def names(found):
    return [link["href"].partition("?")[0] for link in found.all("a") if "/utterances/" in link["href"]]


def test_the_report_is_the_stored_one_with_a_way_to_the_utterances(client, place):
    stored = place[0].read_bytes(f"runs/{RUN}/report/index.html").decode()
    found = page(client, "/")
    assert "/utterances" not in stored
    assert {"/", "/utterances?corpus=A"} <= {link["href"] for link in found.all("a")}
    without = re.sub(r"<style>[^<]*</style>\n(?=</head>)", "", found.source)
    assert without.count("<nav") == 1
    assert re.sub(r'\n<nav class="bar".*?</nav>', "", without, flags=re.S) == stored
    for link in found.all("a"):
        if not link["href"].startswith("#"):
            assert client.get(urljoin("/", link["href"])).status == 200, link
    assert client.get("/predictions.parquet").content == place[0].read_bytes(f"runs/{RUN}/report/predictions.parquet")


def test_the_list_is_sorted_and_paged(client):
    first = page(client, "/utterances?corpus=MANY")
    ranking = client.ranking("MANY")
    expected = [f"/utterances/MANY/{one.name}" for one in ranking.utterances]
    assert names(first) == expected[:50]
    assert "104 utterances of 104, 1 to 50 shown." in first.text
    assert [link["href"] for link in first.all("a") if "page=" in link["href"]][1:] == [
        "/utterances?corpus=MANY&page=2",
        "/utterances?corpus=MANY&page=3",
    ]
    assert names(page(client, "/utterances?corpus=MANY&page=3")) == expected[100:]
    assert names(page(client, "/utterances?corpus=MANY&page=99")) == expected[100:]
    assert len(first.all("audio")) == 50
    assert {audio["preload"] for audio in first.all("audio")} == {"none"}
    assert browse.MEANING in first.text
    assert first.text.count("The numbers behind it") == 50  # a table behind every plot


def test_a_choice_is_a_form_that_needs_no_script(client):
    found = page(client, "/utterances?corpus=A&emotion=sad&predicted=&wrong=1")
    assert found.all("form")[0]["method"] == "get"
    assert [option for option in found.all("option") if "selected" in option]
    wrong = [
        f"/utterances/A/{one.name}".replace("ö", "%C3%B6")
        for one in client.ranking("A").utterances
        if one.facts["emotion"] == "sad" and one.wrong
    ]
    assert wrong
    assert names(found) == wrong
    some = next(link["href"] for link in found.all("a") if "/utterances/A/" in link["href"])
    inside = page(client, some)
    steps = [link["href"] for link in inside.all("a") if link.get("rel") == "next"]
    assert [step.partition("?")[0] for step in steps[:1]] == wrong[1:2]  # neighbours are those of the choice
    back = next(link["href"] for link in inside.all("a") if link["href"].startswith("/utterances?corpus=A&emotion=sad"))
    assert names(page(client, back)) == wrong
    assert "There is none" not in page(client, "/utterances?corpus=A&emotion=sad&predicted=sad&speaker=anna").text


def test_an_utterance_has_its_sound_its_pictures_and_every_prediction(client):
    one = client.ranking("A").utterances[3]
    found = page(client, f"/utterances/A/{one.name}")
    for test in one.tests:
        shares = " ".join(f"{100 * share:.2f} %" for share in test.probabilities)
        assert f"{test.seed} {test.fold} {test.predicted} {shares}" in re.sub(r"\s+", " ", " ".join(found.words))
    says = [svg["aria-label"] for svg in found.all("svg") if "aria-label" in svg]
    assert [words.split(" of ")[0] for words in says] == ["Waveform", "MFCCs", "Probabilities"]
    assert f"{one.facts['duration_s']:.2f} s" in says[0]
    assert "39 coefficients in 216 frames over 5.00 s" in says[1]
    tables_ = [words for words in found.words if words.startswith(("Every coefficient", "Level of", "Every test of"))]
    assert len(tables_) == 3
    assert found.all("audio") == [
        {"controls": None, "preload": "none", "src": f"/audio/A/{quoted(one.name)}", "aria-label": one.name}
    ]
    assert not found.all("script")


def quoted(name):
    return name.replace("ö", "%C3%B6")


def test_features_that_are_gone_are_made_again(client):
    ranking = client.ranking("A")
    shown, one = client.shown, ranking.utterances[0]
    kept = shown.features(ranking, one, None)
    ranking.facts["features"][0] += "-gone"
    try:
        assert shown.features(ranking, one, None) is None
        sound = shown.sound(ranking, one)
        again = shown.features(ranking, one, sound)
        assert np.array_equal(again, kept)
        assert np.array_equal(again, extract(sound.samples, sound.sample_rate_hz, shown.profile, 110_250))
    finally:
        ranking.facts["features"][0] = ranking.facts["features"][0].removesuffix("-gone")


@pytest.mark.parametrize("what", ["gone", "changed", "broken", "folder"])
def test_a_recording_that_is_not_what_it_was_is_said(place, client, what):
    one = client.ranking("A").utterances[-1]
    file = place[1] / "A" / one.facts["path"]
    before = file.read_bytes()
    try:
        if what == "gone":
            file.unlink()
        elif what == "folder":
            file.unlink()
            file.mkdir()
        elif what == "broken":
            file.write_bytes(b"not sound")
        else:
            soundfile.write(file, np.full(16_000, 0.25, np.float32), 16_000)
        found = page(client, f"/utterances/A/{one.name}")
        said = {
            "gone": f"The recording cannot be played: {file} is missing.",
            "folder": f"The recording cannot be played: {one.facts['path']} cannot be read: {file} is not a regular file.",
            "broken": f"The recording cannot be played: {one.facts['path']} cannot be read as audio",
            "changed": "This is another recording now than the one that the run was made of",
        }[what]
        assert said in found.text
        assert len(found.all("audio")) == (what == "changed")
        assert "MFCCs of" in found.source  # from the store
        assert client.get(f"/audio/A/{one.name}").status == (200 if what == "changed" else 404)
        listed = page(client, "/utterances?corpus=A")
        assert len(listed.all("audio")) == len(client.ranking("A").utterances) - (what in ("gone", "folder"))
        assert listed.text.count("The recording is missing.") == (what in ("gone", "folder"))
    finally:
        if what == "folder":
            file.rmdir()
        file.write_bytes(before)


@pytest.mark.parametrize("path", ["../outside.wav", "anna/../../outside.wav", "{root}/outside.wav"])
def test_a_foreign_manifest_reaches_no_file_outside_the_corpus(place, tmp_path, path):
    soundfile.write(place[1] / "outside.wav", np.full(16_000, 0.25, np.float32), 16_000)
    store = Store(str(tmp_path / "store"))
    write_run(store, (SMALL,), data_root=place[1])
    rows = store.read_table("manifests/A/k/manifest.parquet", tables.MANIFEST).to_pylist()
    rows[0]["path"] = path.format(root=place[1])
    store.write_table("manifests/A/k/manifest.parquet", pa.Table.from_pylist(rows, tables.MANIFEST), tables.MANIFEST)
    report.build(store, RUN)
    with served(Shown.of(store, RUN)) as client:
        answer = client.get(f"/audio/A/{rows[0]['utterance_id']}")
        assert answer.status == 404
        assert "stays inside it, received" in answer.text
        listed = page(client, "/utterances")
        assert listed.text.count("The recording cannot be played: A path of a recording is relative to") == 1
        assert len(listed.all("audio")) == len(rows) - 1


def test_a_name_with_line_breaks_has_its_page(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("A", sentences=("line\nbreak", "x\r\n\n")),))
    report.build(store, RUN)
    with served(Shown.of(store, RUN)) as client:
        links = [link["href"] for link in page(client, "/utterances").all("a") if "%0A" in link["href"]]
        assert len(links) == len(client.ranking("A").utterances)
        for address in links[:6]:
            assert "Every prediction" in page(client, address).text
            sound = client.get(address.replace("/utterances/", "/audio/"))
            assert "The run does not say where the recordings of A lie" in sound.text


def test_ranges(client, place):
    one = client.ranking("A").utterances[0]
    address, whole = f"/audio/A/{one.name}", (place[1] / "A" / one.facts["path"]).read_bytes()
    n = len(whole)
    all_of_it = client.get(address)
    assert (all_of_it.status, all_of_it.content, all_of_it.headers["accept-ranges"]) == (200, whole, "bytes")
    assert all_of_it.headers["content-type"] == "audio/wav"
    for asked, first, last in (
        ("bytes=0-", 0, n - 1),
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        (f"bytes=10-{10 * n}", 10, n - 1),
        ("bytes=-44", n - 44, n - 1),
        (f"bytes=-{10 * n}", 0, n - 1),
    ):
        answer = client.get(address, Range=asked)
        assert answer.status == 206, asked
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{n}"
        assert answer.content == whole[first : last + 1]
        assert answer.headers["content-length"] == str(last - first + 1)
    for asked in (f"bytes={n}-", "bytes=9-3", "bytes=-0"):
        answer = client.get(address, Range=asked)
        assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{n}"), asked
    for headers in (
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=-"},
        {"Range": "lines=1-2"},
        {"Range": f"bytes={'9' * 5000}-"},
        {"Range": "bytes=0-1", "If_Range": '"x"'},
    ):
        answer = client.get(address, **headers)
        assert (answer.status, answer.content) == (200, whole), headers
    head = client.get(address, "HEAD")
    assert (head.status, head.content, head.headers["content-length"]) == (200, b"", str(n))


@pytest.mark.parametrize(
    "address",
    [
        "/audio/A/../../../etc/passwd",
        "/audio/A/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/audio/A/..%2f..%2fmanifest.csv",
        "/audio/A//etc/passwd",
        "/audio/A/manifest.csv",
        "/audio/A/anna/a01-angry.wav",  # a path, not an id
        "/audio/anna/a01-angry",
        "/audio/A/",
        "/audio/",
        "/audio/A%00/x",
        "/utterances/A/../A/anna/a01-angry%00",
        "/utterances?corpus=../A",
        "/runs/cv-made-up/run.json",
        "/run.json",
        "/index.html",
        "//etc/passwd",
    ],
)
def test_only_what_the_tables_name_is_there(client, address):
    answer = client.get(address)
    assert answer.status == 404
    assert "The run has no page of this name" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/utterances?emotion=bored", "A has no emotion 'bored'; there are: angry, happy, neutral, sad."),
        (f"/utterances?speaker={SCRIPT}", f"A has no speaker {SCRIPT!r}"),
        ("/utterances?page=x", "page=x is not a page's number"),
    ],
)
def test_a_wrong_choice_is_one_line(client, address, said):
    found = page(client, address, status=400)
    assert said in found.text
    assert not found.all("script")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:99", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
        ("127.0.0.1@evil.example", 400),
    ],
)
def test_other_names_for_this_machine_are_refused(client, host, status):
    """DNS rebinding: a page from elsewhere whose name suddenly means 127.0.0.1."""
    answer = client.get("/utterances", Host=host)
    assert answer.status == status
    assert "anna" in answer.text or status != 200


def test_every_answer_is_guarded(client):
    for address in ("/", "/utterances", "/audio/A/anna/a01-angry", "/nothing", "/utterances?page=x", "/summary.json"):
        headers = client.get(address).headers
        assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert client.get("/", Host="evil.example").headers["x-content-type-options"] == "nosniff"
    assert client.get("/utterances", "POST").status == 405
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none';")
    assert "script-src" not in HEADERS["Content-Security-Policy"]


def test_what_comes_from_outside_is_text(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (HOSTILE, DEMO))
    report.build(store, RUN)
    with served(Shown.of(store, RUN)) as client:
        found, demo = page(client, "/utterances"), page(client, "/utterances?corpus=DEMO")
        links = [link["href"] for link in found.all("a") if "/utterances/" in link["href"]]
        inside_of = [page(client, link) for link in links[:6]]
    assert found.text.count(SCRIPT) > 20
    assert len(inside_of) == 6
    for of_page in (found, *inside_of):
        assert not of_page.all("script")
        assert not of_page.all("img")
        assert not [a for _, a in of_page.tags if any(name.startswith("on") or name == "style" for name in a)]
    assert all("The recording cannot be played" in inside.text for inside in inside_of)
    styled = set(re.findall(r"\.([a-z][\w-]*)", css() + served_css()))
    used = {name for p in (found, *inside_of) for _, a in p.tags for name in (a.get("class") or "").split()}
    assert {name for name in used - styled if not name.startswith("figure-")} == set()
    assert demo.text.count("SYNTHETIC: made by a program") == 1
    assert "The run does not say where the recordings of" in found.text  # so there are no players that say nothing
    assert not found.all("audio")


def test_a_joint_corpus_finds_the_recordings_and_features_of_its_parts(place, tmp_path):
    """The run of the fixture as if its corpora had been joined, without one emotion."""
    store, data_root = place
    facts = store.read_json(f"runs/{RUN}/run.json")
    parts = {name: store.read_table(f"manifests/{name}/k/manifest.parquet", tables.MANIFEST) for name in ("A", "MANY")}
    labels = ["happy", "neutral", "sad"]
    joint = cross_corpus.joint(list(parts.items()), labels)
    one_fold = [
        {
            "corpus": "CROSS", "seed": 1, "fold": 1 if row["utterance_id"].startswith("MANY") else 2,
            "utterance_id": row["utterance_id"], "speaker": row["speaker"], "emotion": row["emotion"],
            "predicted": "sad", "probabilities": [0.2, 0.3, 0.5], "embedding": [0.0],
        }
        for row in joint.to_pylist()
    ]  # fmt: skip
    crossed = {
        **facts["corpora"]["A"],
        "labels": labels,
        "sources": ["A", "MANY"],
        "manifest": "manifests/CROSS/k",
        "synthetic": False,
    }
    crossed |= {"features": ["features/A/k", "features/MANY/k"], "signal_length": 110_250}
    store.write_table("manifests/CROSS/k/manifest.parquet", joint, tables.MANIFEST)
    store.write_json("runs/crossed/run.json", {**facts, "run_id": "crossed", "corpora": {"CROSS": crossed}})
    summary = store.read_json(f"runs/{RUN}/report/summary.json")
    summary["corpora"] = {"CROSS": summary["corpora"]["A"]}
    store.write_json("runs/crossed/report/summary.json", summary)
    predictions = pa.Table.from_pylist(one_fold, tables.PREDICTIONS)
    store.write_table("runs/crossed/report/predictions.parquet", predictions, tables.PREDICTIONS)
    shown = Shown.of(store, "crossed", str(data_root))
    (ranking,) = shown.rankings
    for name in ("A/anna/b02-sad", "MANY/s12/b02-sad", "MANY/s00/a01-happy"):
        with served(shown) as client:
            found = page(client, f"/utterances/CROSS/{name}")
            played = client.get(f"/audio/CROSS/{name}").content
        assert "cannot be played" not in found.text
        assert "Trained on" in found.text
        one = ranking.by_name[name]
        sound = shown.sound(ranking, one)
        assert not sound.changed
        assert soundfile.info(io.BytesIO(played)).frames == len(sound.samples)
        stored = shown.features(ranking, one, None)
        assert np.array_equal(stored, extract(sound.samples, sound.sample_rate_hz, shown.profile, 110_250))


def test_text_on_every_colour_can_be_read():
    """The button is the one place where the page's own colour is text; the browser's test looks at all of it."""
    for dark in (False, True):
        colours = {name: pair[dark] for name, pair in palette.COLOURS.items()}
        assert palette.contrast(colours["page"], colours["accent"]) >= 4.5


def test_pages_between_are_left_out():
    assert browse._pages(1, 1) == [(1, True)]
    assert [n if linked else "…" for n, linked in browse._pages(50, 111)] == [1, "…", 48, 49, 50, 51, 52, "…", 111]
    assert unescape(browse.link("utterances", "A", "ü/ ?#%&<", corpus="a&b", page=2)) == (
        "/utterances/A/%C3%BC/%20%3F%23%25%26%3C?corpus=a%26b&page=2"
    )
