"""The same checks for every file in timnet/corpora: a new corpus passes them or is not finished."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from timnet import corpora
from timnet.corpora import get, locate, names

# One spelling over all corpora; a new emotion is added here once and used by all.
VOCABULARY = {"angry", "boredom", "calm", "disgust", "fear", "happy", "neutral", "sad", "surprise"}

# name: n, classes, speakers, signal length in samples at 22 050 Hz, seed, temporal-aware blocks a direction
PUBLISHED = {
    "CASIA": (1200, 6, 4, 88_000, 32, 8),
    "EMODB": (535, 7, 10, 96_000, 46, 8),
    "EMOVO": (588, 7, 6, 96_000, 1, 8),
    "IEMOCAP": (5531, 4, 10, 310_000, 16, 10),
    "RAVDESS": (1440, 8, 24, 110_000, 46, 8),
    "SAVEE": (480, 7, 4, 130_000, 44, 8),
}

# What must lie beside a corpus's example for it to be found.
BESIDE = {
    "IEMOCAP": {
        "Session1/dialog/EmoEvaluation/Ses01F_impro05.txt": "[140.2250 - 145.6000]\tSes01F_impro05_F019\tang\t[1.5, 4, 4]\n"
    }
}

HEAVY = {"librosa", "sklearn", "scipy", "keras", "tensorflow", "matplotlib", "natsort", "prefect", "ray", "pandas"}


@pytest.fixture(params=names())
def corpus(request):
    return get(request.param)


@pytest.fixture
def example(corpus):
    """Path, id, speaker, sentence and emotion of the card's example."""
    path, rest = corpus.example.split(" -> ")
    utterance_id, speaker, sentence, emotion = rest.split(", ")
    values = [text.removeprefix(f"{what} ") for text, what in ((speaker, "speaker"), (sentence, "sentence"))]
    return path, utterance_id, *(None if value == "unknown" else value for value in values), emotion


def lay_out(root: Path, corpus, example, change=str) -> None:
    for path, text in {example[0]: "", **BESIDE.get(corpus.name, {})}.items():
        file = root / change(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_the_published_six_are_there():
    assert sorted(name for name in names() if get(name).published) == sorted(PUBLISHED) == sorted(corpora.PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_numbers(name):
    corpus = get(name)
    received = (
        sum(corpus.counts.values()),
        len(corpus.labels),
        corpus.n_speakers,
        corpus.mean_signal_length,
        corpus.published_seed,
        corpus.n_tabs,
    )
    assert received == PUBLISHED[name]


def test_its_file_has_its_name(corpus):
    module = sys.modules[f"timnet.corpora.{corpus.name.lower()}"]
    assert module.CORPUS is corpus
    assert corpus.name == corpus.name.upper()


def test_its_labels_are_of_the_one_vocabulary(corpus):
    assert set(corpus.labels) <= VOCABULARY
    assert list(corpus.labels) == sorted(set(corpus.labels))
    assert len(corpus.labels) >= 2


def test_its_counts_are_of_its_labels(corpus):
    if corpus.counts is not None:
        assert set(corpus.counts) == set(corpus.labels)
        assert all(count > 0 for count in corpus.counts.values())


def test_its_card_is_filled_in(corpus):
    for field in ("title", "language", "licence", "source", "example"):
        assert getattr(corpus, field).strip(), field
    assert "\n" not in corpus.title
    text = sys.modules[f"timnet.corpora.{corpus.name.lower()}"].__doc__
    assert corpus.name in text
    assert "->" in text
    assert bool(corpus.how_to_get) != corpus.synthetic
    if corpus.download:
        assert corpus.download.url.startswith(("http://", "https://"))
        assert corpus.counts, "how many recordings an archive may hold comes from the counts"
        assert (corpus.download.terms is not None) == ("NC" in corpus.licence)
    if not corpus.synthetic:
        assert all(word in text for word in ("File names:", "Source:"))
        assert "icence" in text or "egistration" in text


def test_its_example_is_what_it_finds(corpus, example, tmp_path):
    lay_out(tmp_path / corpus.name, corpus, example)
    found = corpus.find(locate(corpus, str(tmp_path)))
    [utterance] = found.utterances
    received = (utterance.path, utterance.utterance_id, utterance.speaker, utterance.sentence, utterance.emotion)
    assert received == example
    assert found.problems == ()


@pytest.mark.parametrize("change", ["as it came/{}".format, str.upper], ids=["one folder deeper", "upper case"])
def test_it_is_found_where_distributions_differ(corpus, example, tmp_path, change):
    if corpus.synthetic:
        pytest.skip("made here, so it lies as it was made")
    lay_out(tmp_path, corpus, example, change)
    [utterance] = corpus.find(locate(corpus, str(tmp_path))).utterances
    assert utterance.path == change(example[0])
    assert (utterance.speaker, utterance.emotion) == (example[2], example[4])


def test_a_stranger_is_a_problem_and_other_files_are_not(corpus, example, tmp_path):
    root = tmp_path / corpus.name
    lay_out(root, corpus, example)
    folder = (root / example[0]).parent
    (folder / "readme.txt").touch()
    (folder / "not of this corpus.wav").touch()
    found = corpus.find(locate(corpus, str(tmp_path)))
    assert len(found.utterances) == 1
    [problem] = found.problems
    assert problem.kind == "unrecognised-name"
    assert problem.path.endswith("not of this corpus.wav")
    assert problem.path in problem.message


def test_it_travels_to_other_processes(corpus):
    again = pickle.loads(pickle.dumps(corpus))
    assert again == corpus


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_names_are_known_without_importing_a_corpus():
    loaded = run("import sys; from timnet.corpora import names; names(); print(*sys.modules)").split()
    assert not {f"timnet.corpora.{name.lower()}" for name in names()} & set(loaded)


def test_importing_every_corpus_loads_nothing_heavy():
    modules = [f"timnet.corpora.{path.stem}" for path in Path(corpora.__file__).parent.glob("*.py")]
    loaded = run(f"import sys, {', '.join(modules)}; print(*sys.modules)").split()
    assert not HEAVY & {name.split(".")[0] for name in loaded}
