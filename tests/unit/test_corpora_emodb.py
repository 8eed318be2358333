"""The rule, the order and the manifest of EMODB on its real files."""

import hashlib
import wave
from collections import Counter
from types import SimpleNamespace

import pytest

from timnet.corpora import folder, get, locate, manifest

EMODB = get("EMODB")


@pytest.fixture(scope="module")
def source(shared):
    return locate(EMODB, str(shared / "corpora"))


@pytest.fixture(scope="module")
def facts(source):
    result = {}
    for path in source.listing:
        with wave.open(f"{source.root}/{path}") as file:
            frames, rate = file.readframes(file.getnframes()), file.getframerate()
            result[path] = SimpleNamespace(
                audio_sha256=hashlib.sha256(frames).hexdigest(),
                duration_s=file.getnframes() / rate,
                sample_rate_hz=rate,
                n_channels=file.getnchannels(),
                problem=None,
            )
    return result


def test_every_file_is_found(source):
    found = EMODB.find(source)
    assert (found.problems, found.notes) == ((), ())
    assert len(found.utterances) == 535
    assert Counter(utterance.emotion for utterance in found.utterances) == EMODB.counts
    assert len({utterance.speaker for utterance in found.utterances}) == 10
    assert len({utterance.sentence for utterance in found.utterances}) == 10


@pytest.mark.parametrize("below", ["corpora/EMODB", "corpora/EMODB/wav"])
def test_the_corpus_is_found_from_its_own_folder_too(shared, below):
    assert len(EMODB.find(locate(EMODB, str(shared / below))).utterances) == 535


def test_the_published_order(shared, source, facts):
    expected = [line.split() for line in (shared / "golden" / "emodb_order.txt").read_text().splitlines()]
    table, problems = manifest.build(EMODB, EMODB.find(source), facts)
    assert problems == []
    received = zip(table["path"].to_pylist(), table["class_index"].to_pylist(), strict=True)
    assert [[path.rsplit("/", 1)[-1], str(index)] for path, index in received] == expected


def test_what_the_files_are(source, facts):
    table, _ = manifest.build(EMODB, EMODB.find(source), facts)
    durations_s = table["duration_s"].to_pylist()
    assert (round(min(durations_s), 2), round(max(durations_s), 2)) == (1.23, 8.98)
    assert set(table["sample_rate_hz"].to_pylist()) == {16_000}
    assert set(table["n_channels"].to_pylist()) == {1}


def test_the_signal_length_that_would_be_worked_out(facts):
    durations_s = [fact.duration_s for fact in facts.values()]
    unknown = SimpleNamespace(name="mine", mean_signal_length=None)
    assert folder.signal_length(unknown, durations_s) == 87_000
    assert folder.signal_length(EMODB, durations_s) == 96_000
    fitting = sum(duration_s * 22_050 <= 96_000 for duration_s in durations_s) / len(durations_s)
    assert fitting == pytest.approx(0.94, abs=0.005)
