"""What is in a store: listed, shown, reported again, deleted; the command and the functions behind it."""

import pytest
from stored_run import Made, write_run

from flows.main import main
from timnet import report, runs
from timnet.errors import StoreError
from timnet.store import Store


@pytest.fixture
def store(tmp_path):
    """A finished run, one of which a fold failed, and one that has only begun."""
    store = Store(str(tmp_path / "store"))
    for run_id, failed in (("good", frozenset()), ("bad", frozenset({(46, 2)}))):
        write_run(store, (Made(run_id.upper(), failed=failed, synthetic=True),), seeds=(46,), run_id=run_id)
        report.build(store, run_id)
    store.mark_done("runs/good", {"n_folds": 3})
    store.write_json("runs/begun/settings.json", {})
    return store


def command(store, capsys, *arguments):
    main(["runs", *arguments, "--store", store.uri])
    return capsys.readouterr().out


def test_every_run_is_listed_with_its_state_and_scores(store, capsys):
    assert [(run.run_id, run.state) for run in runs.runs(store)] == [
        ("bad", runs.FAILED),
        ("begun", runs.UNFINISHED),
        ("good", runs.FINISHED),
    ]
    lines = command(store, capsys, "list").splitlines()
    summary = store.read_json("runs/good/report/summary.json")["corpora"]["GOOD"]
    assert lines[0].split() == ["run", "state", "made", "size", "corpus", "folds", "WAR", "UAR"]
    assert "GOOD (synthetic)" in lines[3]
    assert f"3 of 3  {100 * summary['pooled']['war']:.2f} %  {100 * summary['pooled']['uar']:.2f} %" in lines[3]
    assert "folds failed" in lines[1]
    assert "2 of 3" in lines[1]
    assert lines[2].split()[:2] == ["begun", "unfinished"]


def test_a_run_is_shown(store, capsys):
    said = command(store, capsys, "show", "good")
    assert said.startswith("good: finished, ")
    assert "and 3 folds" in said
    assert "GOOD (synthetic)  WAR " in said
    assert said.endswith("runs/good/report/index.html\n")
    assert command(store, capsys, "show", "begun") == "begun: unfinished, 0.0 MiB and 0 folds\n"


def test_a_report_is_made_again_and_stays_finished(store, capsys):
    store.remove("runs/good/report/index.html")
    assert runs.run(store, "good").state == runs.FAILED  # a file of it is lost
    assert "GOOD" in command(store, capsys, "report", "good")
    assert store.exists("runs/good/report/index.html")
    assert runs.run(store, "good").state == runs.FINISHED
    runs.report_again(store, "bad")
    assert runs.run(store, "bad").state == runs.FAILED
    with pytest.raises(StoreError, match="begun is unfinished: there is nothing to report yet"):
        runs.report_again(store, "begun")


def test_deleting_takes_a_yes_and_keeps_what_others_need(store, capsys):
    assert "would be deleted" in command(store, capsys, "delete", "good")
    assert runs.run(store, "good").state == runs.FINISHED
    shared = store.read_json("runs/good/run.json")
    store.write_json("runs/also/run.json", shared)
    assert command(store, capsys, "delete", "good", "--yes", "--with-folds").startswith("Deleted good and 0 folds")
    assert all(store.is_done(folder) for folder in runs.folds_of(store, "also"))
    folders = runs.folds_of(store, "also")
    assert command(store, capsys, "delete", "also", "--yes", "--with-folds") == (
        "Deleted also and 3 folds that no other run needs.\n"
    )
    assert not any(store.is_done(folder) for folder in folders)
    assert [run.run_id for run in runs.runs(store)] == ["bad", "begun"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "nobody"], "There is no run 'nobody' in"),
        (["delete", "nobody", "--yes"], "there are: bad, begun, good."),
        (["show"], "the following arguments are required: RUN. See --help."),
        ([], "the following arguments are required: ACTION. See --help."),
        (["list", "--stroe", "x"], "unrecognized arguments: --stroe x. See --help."),
    ],
)
def test_wrong_use_is_one_line(store, capsys, arguments, text):
    with pytest.raises(SystemExit) as caught:
        main(["runs", *arguments, *(["--store", store.uri] if arguments else [])])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
