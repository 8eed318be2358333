"""From what was found to the manifest: order, problems, counts, and its key."""

from dataclasses import dataclass, replace

import pytest

from timnet import tables
from timnet.corpora.base import Corpus, Found, Problem, Utterance
from timnet.corpora.manifest import build, check, manifest_key, published_order
from timnet.errors import CorpusError


@dataclass(frozen=True)
class Facts:
    audio_sha256: str = "0" * 64
    duration_s: float = 1.5
    sample_rate_hz: int = 16_000
    n_channels: int = 1
    problem: tuple[str, str] | None = None


CORPUS = Corpus(
    name="TWO",
    title="two speakers, two emotions",
    language="none",
    labels=("happy", "sad"),
    find=lambda source: Found(()),
    mean_signal_length=None,
    licence="none",
    source="nowhere",
    example="",
    counts={"happy": 3, "sad": 1},
    n_speakers=2,
)
UTTERANCES = (
    Utterance("x/s1.wav", "sad", speaker="anna"),
    Utterance("x/h10.wav", "happy", speaker="anna", sentence="10"),
    Utterance("x/h2.wav", "happy", speaker="ben", sentence="2", session="S1"),
    Utterance("a/h2b.wav", "happy", speaker="ben"),
)
FACTS = {u.path: Facts(audio_sha256=f"{i:064}", duration_s=1 + i) for i, u in enumerate(UTTERANCES)}


def problems_of(corpus=CORPUS, utterances=UTTERANCES, facts=FACTS, **found):
    return build(corpus, Found(tuple(utterances), **found), facts)[1]


def test_a_whole_corpus_in_published_order():
    table, problems = build(CORPUS, Found(UTTERANCES), FACTS)
    assert problems == []
    assert table.schema.equals(tables.MANIFEST)
    assert table.to_pylist()[0] == {
        "utterance_id": "x/h2",
        "path": "x/h2.wav",
        "audio_sha256": f"{2:064}",
        "speaker": "ben",
        "sentence": "2",
        "session": "S1",
        "emotion": "happy",
        "class_index": 0,
        "duration_s": 3.0,
        "sample_rate_hz": 16_000,
        "n_channels": 1,
    }
    assert table["utterance_id"].to_pylist() == ["x/h2", "a/h2b", "x/h10", "x/s1"]  # natural: 2 before 10
    assert table["class_index"].to_pylist() == [0, 0, 0, 1]
    assert table["session"].to_pylist() == ["S1", None, None, None]


def test_an_order_of_the_corpus_own():
    corpus = replace(CORPUS, order_key=lambda utterance: utterance.speaker)
    assert [u.utterance_id for u in published_order(corpus, UTTERANCES)] == ["x/h10", "a/h2b", "x/h2", "x/s1"]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_the_order_does_not_depend_on_the_order_of_finding(turn):
    turned = UTTERANCES[turn:] + UTTERANCES[:turn]
    assert published_order(CORPUS, turned) == published_order(CORPUS, UTTERANCES)


def test_what_cannot_be_used_is_a_problem_and_not_a_row():
    facts = FACTS | {"x/h2.wav": Facts(problem=("silent", "x/h2.wav: every sample is 0."))}
    earlier = Problem("unrecognised-name", "x/odd.wav: odd.", "x/odd.wav")
    table, problems = build(CORPUS, Found(UTTERANCES, problems=(earlier,)), facts)
    assert table["utterance_id"].to_pylist() == ["a/h2b", "x/h10", "x/s1"]
    assert problems == [earlier, Problem("silent", "x/h2.wav: every sample is 0.", "x/h2.wav")]  # not also missing


def test_two_recordings_of_one_id():
    again = Utterance("x/s1.flac", "sad", speaker="anna")
    table, problems = build(CORPUS, Found((*UTTERANCES, again)), FACTS | {"x/s1.flac": Facts()})
    message = "x/s1.wav: has the same name as x/s1.flac but for the suffix. Keep one of the two."
    assert problems == [Problem("duplicate-id", message, "x/s1.wav")]
    assert table["utterance_id"].to_pylist().count("x/s1") == 1


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"happy": 4, "sad": 1}, "TWO: happy has 3 recordings, the corpus has 4: 1 is missing."),
        ({"happy": 127, "sad": 1}, "TWO: happy has 3 recordings, the corpus has 127: 124 are missing."),
        ({"happy": 2, "sad": 1}, "TWO: happy has 3 recordings, the corpus has 2: 1 too many."),
    ],
)
def test_counts_that_are_not_those_of_the_corpus(counts, said):
    assert problems_of(replace(CORPUS, counts=counts)) == [Problem("count", said)]


def test_a_class_that_is_missing():
    assert problems_of(utterances=UTTERANCES[1:]) == [
        Problem("count", "TWO: sad has 0 recordings, the corpus has 1: 1 is missing.")
    ]


@pytest.mark.parametrize("counts", [None, {"happy": 3, "sad": 1}])
def test_a_class_of_which_nothing_can_be_used(counts):
    broken = Facts(problem=("empty", "x/s1.wav: holds no samples."))
    problems = problems_of(replace(CORPUS, counts=counts), facts=FACTS | {"x/s1.wav": broken})
    assert [problem.kind for problem in problems] == ["empty", "count"]
    assert problems[1].message == "TWO: no recording of sad can be used, and a class cannot be empty."


def test_counts_that_are_not_known():
    assert problems_of(replace(CORPUS, counts=None, n_speakers=None), utterances=UTTERANCES[:2]) == []


def test_speakers_that_are_missing():
    corpus = replace(CORPUS, n_speakers=3)
    assert problems_of(corpus) == [Problem("count", "TWO: there are 2 speakers, the corpus has 3.")]


def test_an_unknown_speaker_is_not_one_more():
    unknown = replace(UTTERANCES[0], speaker=None)
    assert problems_of(utterances=(unknown, *UTTERANCES[1:])) == []


def test_nothing_that_can_be_used():
    broken = {path: Facts(problem=("silent", f"{path}: every sample is 0.")) for path in FACTS}
    with pytest.raises(
        CorpusError, match=r"TWO has no recording that can be used; 6 problems. The first: x/h2.wav: every"
    ):
        build(CORPUS, Found(UTTERANCES), broken)
    with pytest.raises(CorpusError, match="TWO has no recording that can be used; 0 problems"):
        build(replace(CORPUS, labels=(), counts=None, n_speakers=None), Found(()), {})


# -- its key ----------------------------------------------------------------------------------------------------------


def key(utterances=UTTERANCES, facts=FACTS, corpus=CORPUS):
    return manifest_key(build(corpus, Found(tuple(utterances)), facts)[0])


def test_the_key_is_that_of_the_content():
    assert key() == key(reversed(UTTERANCES))
    assert len(key()) == 16
    elsewhere = [replace(u, path=u.path.replace(".wav", ".WAV")) for u in UTTERANCES]
    assert key(elsewhere, {u.path: FACTS[u.path.replace(".WAV", ".wav")] for u in elsewhere}) == key()


@pytest.mark.parametrize(
    "change", [{"speaker": "carl"}, {"sentence": "3"}, {"session": "S2"}, {"emotion": "happy"}, {"path": "x/s2.wav"}]
)
def test_the_key_changes_with_what_an_utterance_is(change):
    changed = replace(UTTERANCES[0], **change)
    assert key((changed, *UTTERANCES[1:]), FACTS | {changed.path: FACTS["x/s1.wav"]}) != key()


def test_the_key_changes_with_the_audio_and_with_the_classes():
    assert key(facts=FACTS | {"x/s1.wav": replace(FACTS["x/s1.wav"], audio_sha256="f" * 64)}) != key()
    assert key(corpus=replace(CORPUS, labels=("angry", "happy", "sad"), counts=None)) != key()


# -- refusing or going on ---------------------------------------------------------------------------------------------


def test_no_problems_are_no_problem():
    assert check(CORPUS, [], skip_bad=False) == []


def test_a_problem_stops_the_run_and_says_what_to_do():
    with pytest.raises(CorpusError) as error:
        check(CORPUS, [Problem("silent", "x/a.wav: every sample is 0.", "x/a.wav")], skip_bad=False)
    assert str(error.value) == (
        "TWO has 1 problem:\n"
        "  x/a.wav: every sample is 0.\n"
        "Mend the files, or run again with --skip-bad to go on with the recordings that can be used."
    )


@pytest.mark.parametrize(
    ("n", "n_lines", "more"), [(20, 22, None), (21, 23, "  and 1 more"), (500, 23, "  and 480 more")]
)
def test_many_problems_are_listed_in_part(n, n_lines, more):
    problems = [Problem("silent", f"x/{i}.wav: every sample is 0.", f"x/{i}.wav") for i in range(n)]
    with pytest.raises(CorpusError) as error:
        check(CORPUS, problems, skip_bad=False)
    lines = str(error.value).splitlines()
    assert lines[0] == f"TWO has {n} problems:"
    assert lines[20] == "  x/19.wav: every sample is 0."
    assert len(lines) == n_lines
    assert more is None or lines[21] == more


def test_skip_bad_goes_on_and_keeps_them():
    problems = [Problem("silent", "x/a.wav: every sample is 0.", "x/a.wav")]
    assert check(CORPUS, problems, skip_bad=True) == problems
