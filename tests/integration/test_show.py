"""`timnet show` as a user starts it, looked at and listened to in a real browser."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from browser import DESKTOP, PHONE, Browser
from stored_run import RUN, Made, write_run
from tiny import until

from timnet import report
from timnet.store import Store

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
A = Made("A", speakers=("anna", "bo", "jörg", "mei"), sentences=("a01", "b02"), skill=0.6)
LONG = Made("x" * 60, speakers=("a-speaker-with-a-very-long-name" * 3, "bo", "c", "d"), synthetic=True)
ONE = "/utterances/A/mei/b02-sad"
PAGES = ("/", "/utterances", f"/utterances?corpus={LONG.name}", ONE, "/utterances?wrong=1&predicted=sad")

# What a reader sees: every text with the colour it has and the one behind it, as WCAG computes their contrast.
FAINTEST = """
(() => {
  const parts = (colour) => { const n = colour.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const light = (rgb) => rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    if (!e) return [255, 255, 255];
    const own = parts(getComputedStyle(e).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, behind(e.parentElement));
  };
  let faintest = [99, "no text"], n = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, words = walker.currentNode.textContent.trim();
    if (!words || !e.checkVisibility() || e.closest("style, title")) continue;
    const style = getComputedStyle(e), ground = behind(e);
    const ink = over(parts(e instanceof SVGElement ? style.fill : style.color), ground);
    const [dim, bright] = [light(ink), light(ground)].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dim + 0.05);
    n += 1;
    if (contrast < faintest[0]) faintest = [contrast, words];
  }
  return [...faintest, n];
})()
"""

PLAYED = """
(async () => {
  const audio = document.querySelector("audio");
  const before = audio.readyState;
  const heard = (event) => new Promise((yes, no) => { audio.addEventListener(event, yes, {once: true});
                                                     audio.addEventListener("error", () => no(audio.error.message)); });
  const ended = heard("ended"), moved = heard("timeupdate");
  await audio.play();
  await moved;
  const seeked = heard("seeked");
  audio.currentTime = audio.duration - 0.3;
  await seeked;
  const at = audio.currentTime;
  await ended;
  return [before, audio.duration, at, audio.currentTime, audio.seekable.end(0)];
})()
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("shown")
    store = Store(str(root / "store"))
    write_run(store, (A, LONG), data_root=root / "data")
    report.build(store, RUN)
    return store


class Server:
    """The command in a process of its own."""

    def __init__(self, *arguments: str, **environment: str):
        kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.main", "show", *arguments],
            cwd=ROOT, env=kept | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # Started in the background, as CI may be, this process ignores Ctrl-C, and its children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        self.address = self.process.stdout.readline().strip()

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def server(store):
    server = Server(RUN, "--store", store.uri)
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.address), server.process.stderr.read()
        yield server.address.rstrip("/")
    finally:
        status, out, err = server.end(signal.SIGTERM)
    assert (status, out, err) == (0, "", "timnet: closed\n")  # and nothing was complained about in all of the tests


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_fits_a_phone_and_can_be_read(server, browser, page, dark):
    for size in (PHONE, DESKTOP):
        browser.look(*size, dark=dark)
        browser.go(server + page)
        browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.evaluate("document.documentElement.scrollWidth") == size[0]
        contrast, words, n = browser.evaluate(FAINTEST)
        assert n > 20
        assert contrast >= 4.5, words
        ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) < 3 * 60) == dark
        assert browser.complaints() == []


SMALL_TARGETS = """
[...document.querySelectorAll("a, button, input, select, summary, audio")].filter(e => e.checkVisibility())
  .filter(e => { const box = (e.closest("label") || e).getBoundingClientRect(); return Math.min(box.width, box.height) < 24; })
  .map(e => e.outerHTML)
"""


@pytest.mark.parametrize("page", ["/utterances", f"/utterances?corpus={LONG.name}", ONE])
def test_a_thumb_can_hit_everything(server, browser, page):
    browser.look(*PHONE)
    browser.go(server + page)
    assert browser.evaluate(SMALL_TARGETS) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_plot_has_words_and_a_table(server, browser, page):
    """Plots that show say what is to be seen; and a table of the same is inside the same figure, card or line."""
    browser.look(*DESKTOP)
    browser.go(server + page)
    plots = browser.evaluate(
        "[...document.querySelectorAll('svg:not([aria-hidden])')].map(e => [e.getAttribute('aria-label'), "
        "!!e.closest('figure, li')?.querySelector('table') || !!e.closest('.card')?.querySelector('dl')])"
    )
    assert plots
    assert all(len(words) > 20 and table for words, table in plots), plots
    hidden = "[...document.querySelectorAll('svg[aria-hidden]')].filter(e => !e.closest('table, .legend')).length"
    assert browser.evaluate(hidden) == 0


def test_a_recording_plays_to_its_end_and_seeks(server, browser, store):
    browser.go(server + ONE)
    loaded, duration_s, at_s, end_s, seekable_s = browser.evaluate(PLAYED)
    assert loaded == 0  # nothing was fetched before somebody asked for it
    manifest = store.read_table("manifests/A/k/manifest.parquet").to_pylist()
    expected_s = next(row["duration_s"] for row in manifest if row["utterance_id"] == "mei/b02-sad")
    assert duration_s == end_s == seekable_s == pytest.approx(expected_s, abs=1e-3)
    assert at_s == pytest.approx(expected_s - 0.3, abs=0.05)
    assert browser.complaints() == []


def test_the_picture_of_the_mfccs_is_drawn(server, browser):
    browser.go(server + ONE)
    sizes = browser.evaluate(
        "Promise.all([...document.querySelectorAll('figure svg[role] image')].map(async (e) => { const i = new Image(); "
        "i.src = e.href.baseVal; await i.decode(); return [i.naturalWidth, i.naturalHeight]; }))"
    )
    assert sizes == [[216, 1], [216, 38]]


def test_the_whole_way_without_a_script(server, browser):
    """From the report over the form to a recording and its neighbours, by links and a button alone."""
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.look(*DESKTOP)
        browser.go(server + "/")
        for click, lands_on in (
            ("document.querySelector('.bar a:last-child')", "/utterances?corpus=A"),
            ("document.querySelector('button')", "/utterances?corpus=A&emotion=sad&predicted=&speaker=&wrong=1"),
            ("document.querySelector('.ranked .name a')", "/utterances/A/"),
            ("document.querySelector('a[rel=next]')", "/utterances/A/"),
        ):
            was = browser.evaluate("location.href")
            if "button" in click:
                browser.evaluate("document.querySelector('[name=emotion]').value = 'sad'")
                browser.evaluate("document.querySelector('[name=wrong]').checked = true")
            browser.evaluate(f"{click}.click()")
            until(lambda was=was: browser.evaluate("document.readyState + location.href") not in
                  (f"complete{was}", f"interactive{was}", f"loading{was}"), 20)  # fmt: skip
            assert browser.evaluate("location.href").removeprefix(server).startswith(lands_on)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_while_a_browser_is_connected(store, number):
    server = Server(RUN, "--store", store.uri, "--no-browser")
    port = int(server.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as open_connection:
        with urllib.request.urlopen(server.address, timeout=30) as answer:
            assert answer.status == 200
        open_connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")  # and never finishes
        assert server.end(number) == (0, "", "timnet: closed\n")


def test_only_this_machine_can_reach_it(server):
    port = int(server.rpartition(":")[2])
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    here = [entry[1] for entry in listening if entry[3] == "0A" and entry[1].endswith(f":{port:04X}")]
    assert here == [f"0100007F:{port:04X}"]  # 127.0.0.1


def test_the_browser_is_opened_where_there_is_a_display(store, tmp_path):
    """BROWSER is how Python's webbrowser is told which one; this one writes down what it was given."""
    opened, script = tmp_path / "opened", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    script.chmod(0o755)
    for display, more in ((":9", ()), ("", ()), (":9", ("--no-browser",))):
        server = Server(RUN, "--store", store.uri, *more, BROWSER=f"{script} %s", DISPLAY=display)
        urllib.request.urlopen(server.address, timeout=30).close()
        if display and not more:
            until(opened.exists, 20)
            assert opened.read_text().strip() == server.address
            opened.unlink()
        assert server.end(signal.SIGTERM)[0] == 0
        assert not opened.exists()


def test_what_cannot_be_shown_is_one_line(store):
    def said(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flows.main", "show", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        return done.stderr

    assert said("nobody", "--store", store.uri) == (
        f"timnet: There is no run 'nobody' in {store.uri}; there are: {RUN}.\n"
    )
    assert said(RUN, "--port", "70000") == "timnet: --port 70000: allowed are 1 to 65535, and 0 for a free one.\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert said(RUN, "--store", store.uri, "--port", str(port)) == (
            f"timnet: --port {port} cannot be used (Address already in use). Give another, or none.\n"
        )


@pytest.mark.s3
def test_store_and_recordings_on_s3(s3, tmp_path):
    store, root = Store("s3://results/show"), "s3://results/recordings"
    write_run(store, (A,), data_root=tmp_path / "data")
    report.build(store, RUN)
    for file in (tmp_path / "data").rglob("*.*"):
        Store(root).write_bytes(file.relative_to(tmp_path / "data").as_posix(), file.read_bytes())
    server = Server(RUN, "--store", store.uri, "--data-root", root)
    try:
        with urllib.request.urlopen(f"{server.address}audio/A/anna/a01-sad", timeout=60) as answer:
            assert answer.read() == (tmp_path / "data/A/anna/a01-sad.wav").read_bytes()
        with urllib.request.urlopen(f"{server.address}utterances/A/anna/a01-sad", timeout=60) as answer:
            page = answer.read().decode()
        assert "Waveform of anna/a01-sad" in page
        assert "MFCCs of anna/a01-sad" in page
    finally:
        assert server.end(signal.SIGTERM) == (0, "", "timnet: closed\n")
