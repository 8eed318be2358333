"""What people read: the summary as lines, Markdown and table, and the sentences about a corpus."""

import subprocess
import sys

import pytest
from stored_run import RUN, Made, write_run

from timnet import report
from timnet.report import curves, text, words
from timnet.report.gather import gather
from timnet.report.summary import summarise
from timnet.store import Store


def summary_of(tmp_path, *corpora, **options):
    store = Store(str(tmp_path))
    write_run(store, corpora, **options)
    run = gather(store, RUN)
    return run, summarise(run)


def a_summary(**changes):
    corpus = {
        "synthetic": False,
        "pooled": {"war": 0.957, "uar": 0.9517},
        "interval": {"war": [0.911, 0.9804], "uar": None, "over": "speakers", "n_clusters": 10},
        "fold_mean": {"war": 0.9028, "uar": 0.9},
        "fold_sd": {"war": 0.0394, "uar": None},
        "baselines": {"chance_uar": 1 / 7},
        "folds_completed": 10,
        "folds_total": 10,
        "warnings": [],
        "folds": [
            {"seed": 46, "fold": 1, "n": 54, "war": 0.9444, "uar": 0.5, "chosen_epoch": 500, "seconds": 1.5, "state": "completed", "error": None}
        ],
    }  # fmt: skip
    return {
        "run_id": "cv-1",
        "protocol": {"description": "k folds"},
        "folds_completed": 10,
        "folds_total": 10,
        "warnings": [],
        "corpora": {"EMODB": {**corpus, **changes}},
    }


def test_terminal():
    assert text.terminal(a_summary()).splitlines() == [
        "EMODB  WAR 95.70 % [91.10, 98.04]  UAR 95.17 %  pooled over 10 of 10 folds, [95 % interval over 10 speakers]",
        "       WAR 90.28 ± 3.94 %  UAR 90.00 %  mean ± sd of the folds",
    ]
    lines = text.terminal(a_summary(synthetic=True, warnings=["Careful."])).splitlines()
    assert lines[0].startswith("EMODB (synthetic)  WAR 95.70 %")
    assert lines[-1].strip() == "! Careful."


def test_markdown():
    assert "| EMODB | 95.70 % | 95.17 % | 90.28 ± 3.94 % | 90.00 % | 14.29 % | 10 of 10 folds |" in text.markdown(
        a_summary()
    )


def test_markdown_escapes_what_it_is_given():
    summary = a_summary()
    summary["corpora"] = {"a|b<script>*x*\n# no": summary["corpora"]["EMODB"]}
    assert "| a\\|b&lt;script&gt;\\*x\\* \\# no | 95.70 %" in text.markdown(summary)


def test_table():
    assert text.table(a_summary(synthetic=True)) == [
        {"corpus": "EMODB (synthetic)", "seed": 46, "fold": 1, "n": 54, "WAR": "94.44 %", "UAR": "50.00 %", "epoch": 500, "seconds": 1.5, "state": "completed", "error": ""}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10.0 s"), (12.4, "12 s"), (1487, "24 min 47 s"), (11_100, "3 h 5 min")]
)  # fmt: skip
def test_seconds(value, shown):
    assert text.seconds(value) == shown


def test_percent():
    assert [text.percent(v) for v in (0.95704, 1, 0, None, float("nan"))] == ["95.70 %", "100.00 %", "0.00 %", "–", "–"]


def test_leak_is_said_of_the_run_and_of_every_corpus(tmp_path):
    _, summary = summary_of(tmp_path, Made("A"), Made("B"), protocol="published-leaky")
    assert summary["warnings"][0].startswith("The epoch was chosen ON THE TEST FOLD: these numbers are too good.")
    assert all(summary["warnings"][0] in corpus["warnings"] for corpus in summary["corpora"].values())
    assert text.terminal(summary).count("ON THE TEST FOLD") == 1
    assert "ON THE TEST FOLD" in text.markdown(summary)


def test_synthetic_is_said_first(tmp_path):
    _, summary = summary_of(tmp_path, Made("DEMO", synthetic=True, failed=frozenset({(46, 1)})))
    assert summary["corpora"]["DEMO"]["warnings"][0].startswith("SYNTHETIC:")
    assert "SYNTHETIC" in text.terminal(summary)
    assert "DEMO (synthetic)" in text.markdown(summary)


def test_sharing_of_random_folds(tmp_path):
    run, _ = summary_of(tmp_path, Made("A"), protocol="published", seeds=(46,))
    assert words.sharing(run.corpora[0]) == [
        "In every fold, up to 6 speakers are in training and test at once: the model may know the voice, so expect "
        "less from strangers.",
        "In every fold, up to 2 sentences are in training and test at once: the model may know the words, so expect "
        "less from other texts.",
        "No identical recording is in training and test at once: nothing that is tested was there in training.",
    ]


def test_sharing_of_strangers_and_of_the_unknown(tmp_path):
    run, _ = summary_of(tmp_path / "1", Made("A"))
    assert words.sharing(run.corpora[0])[0] == (
        "No speaker is in training and test at once: the numbers are about people who were never heard before."
    )
    run, _ = summary_of(
        tmp_path / "2", Made("B", speakers=(None,), sentences=tuple("abcdefghij")), protocol="stratified"
    )
    assert words.sharing(run.corpora[0])[0] == (
        "The corpus does not name the speakers, so nobody can say whether training and test share any."
    )


def test_copied_recording_is_warned_of(tmp_path):
    _, summary = summary_of(tmp_path, Made("A", twins=1), protocol="published", seeds=(46,))
    assert summary["corpora"]["A"]["warnings"][0] == (
        "In 2 of 3 folds a recording that is tested is in training, too, sample by sample the same."
    )


def test_meaning(tmp_path):
    run, summary = summary_of(tmp_path, Made("A", skill=1.0))
    assert words.meaning(run.corpora[0], summary["corpora"]["A"]) == (
        "About 100 of 100 recordings are given the right one of 4 emotions; guessing gets 25, and always saying “angry” 25."
    )


def test_confusions():
    counts = {"confusion": {"labels": ["angry", "happy", "sad"], "counts": [[6, 4, 0], [1, 19, 0], [0, 0, 5]]}}
    assert words.confusions(counts) == (
        "Most often confused: angry taken for happy (4 of 10); happy taken for angry (1 of 20)."
    )
    assert words.confusions({"confusion": {"labels": ["a", "b"], "counts": [[2, 0], [0, 2]]}}) == "Nothing is confused."


def test_importing_the_report_loads_nothing_heavy():
    heavy = "{'sklearn', 'matplotlib', 'openpyxl', 'jinja2', 'scipy'}"
    code = f"import sys, timnet.report; sys.exit(' '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_where_averaged_weights_predict_the_report_says_from_when_on(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("A"), Made("B")), n_epochs=12)
    facts = store.read_json(f"runs/{RUN}/run.json")
    averaging = {**facts["recipe"], "averaged": 0.5}
    sentence = "From epoch 7 on, the mean of the weights from there on predicts."
    older = {name: value for name, value in facts["recipe"].items() if name != "averaged"}
    for recipe, said in (
        (averaging, [True, True]),
        ({"A": averaging, "B": older}, [True, False]),
        (older, [False] * 2),
    ):
        store.write_json(f"runs/{RUN}/run.json", {**facts, "recipe": recipe})
        corpora = gather(store, RUN).corpora
        assert [words.selection(corpus).endswith(f"chose the epoch. {sentence}") for corpus in corpora] == said
        assert [sentence in curves.draw(corpus).caption for corpus in corpora] == said


def test_report_offers_what_the_tasks_use():
    assert (report.markdown, report.table, report.terminal) == (text.markdown, text.table, text.terminal)


@pytest.mark.parametrize(
    ("protocol", "network", "svm"),
    [
        (
            "speaker-independent",
            "Validation data, apart from the test data, chose the epoch.",
            "Validation data, apart from the test data, chose the strength of the regularisation.",
        ),
        (
            "published",
            "The weights after the last epoch were used: no data chose the epoch.",
            "The strength of the regularisation was fixed beforehand: no data of this run chose it. It had done best on "
            "validation recordings of EMODB, which may flatter it there.",
        ),
        (
            "published-leaky",
            "The test data themselves chose the epoch.",
            "The test data themselves chose the strength of the regularisation.",
        ),
    ],
)
def test_what_was_chosen_depends_on_the_model(tmp_path, protocol, network, svm):
    store = Store(str(tmp_path))
    write_run(store, (Made("A"),), protocol=protocol)
    facts = store.read_json(f"runs/{RUN}/run.json")
    for model, sentence, chosen in (
        ("timnet", network, "epoch"),
        ("svm", svm, "strength of the regularisation"),
        ("of-another-version", network, "epoch"),
    ):
        store.write_json(f"runs/{RUN}/run.json", {**facts, "model": {**facts["model"], "name": model}})
        run = gather(store, RUN)
        assert words.selection(run.corpora[0]) == sentence
        summary = summarise(run)
        leaky = [w for w in summary["corpora"]["A"]["warnings"] if "ON THE TEST FOLD" in w]
        assert leaky == summary["warnings"]
        assert [w.startswith(f"The {chosen} was chosen ON THE TEST FOLD: ") for w in leaky] == [True] * len(leaky)
        assert bool(leaky) == (protocol == "published-leaky")
