"""What is in a store: listed, shown, reported again, deleted; the command and the functions behind it."""

import json

import pytest
from stored_run import Made, write_run

from flows.main import main
from timnet import report, run_files, runs
from timnet.errors import BrokenFileError, StoreError
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


def refused(store, capsys, *arguments):
    """The one line that the command ends with."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--store", store.uri])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def changed(store, path, change):
    value = store.read_json(path)
    change(value)
    store.write_json(path, value)


def spoil(store, path, broken):
    """Write bytes, or what a function makes of the JSON that is there."""
    if callable(broken):
        changed(store, path, broken)
    else:
        store.write_bytes(path, broken)


def states(store):
    return {run.run_id: run.state for run in runs.runs(store)}


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
    assert len(lines) == 4


def test_a_store_that_is_not_there_or_has_no_runs_is_no_empty_table(tmp_path, capsys):
    nowhere = Store(str(tmp_path / "typo"))
    for arguments in (["list"], ["show", "good"], ["delete", "good", "--yes"]):
        said = refused(nowhere, capsys, "runs", *arguments)
        assert (
            said
            == f"timnet: There is no store at {nowhere.uri}. Give another --store; the first run in one makes it.\n"
        )
    assert command(Store(str(tmp_path)), capsys, "list") == f"There are no runs in {tmp_path}.\n"


def test_what_a_desktop_leaves_behind_is_no_run(store, capsys):
    for path in (".DS_Store", "Thumbs.db", ".Trash/settings.json", "notes/todo.txt", "two words/settings.json"):
        store.write_bytes(f"runs/{path}", b"")
    assert list(states(store)) == ["bad", "begun", "good"]
    said = refused(store, capsys, "runs", "delete", "notes", "--yes")
    assert said == f"timnet: There is no run 'notes' in {store.uri}; there are: bad, begun, good.\n"


def test_a_run_is_shown(store, capsys):
    said = command(store, capsys, "show", "good")
    assert said.startswith("good: finished, ")
    assert "and 3 folds" in said
    assert "GOOD (synthetic)  WAR " in said
    assert said.endswith("runs/good/report/index.html\n")
    assert command(store, capsys, "show", "begun") == "begun: unfinished, 0.0 MiB\n"


def test_a_report_is_made_again_and_stays_finished(store, capsys):
    store.remove("runs/good/report/index.html")
    assert "GOOD" in command(store, capsys, "report", "good")
    assert store.exists("runs/good/report/index.html")
    assert states(store)["good"] == runs.FINISHED
    runs.report_again(store, "bad")
    assert states(store)["bad"] == runs.FAILED
    with pytest.raises(StoreError, match=r"The run begun in .* is unfinished: it has no report yet. Give its command"):
        runs.report_again(store, "begun")


def test_a_run_without_a_file_is_damaged_not_failed(store, capsys):
    store.remove("runs/good/report/results.xlsx")
    lines = command(store, capsys, "list").splitlines()
    assert lines[3].split()[:2] == ["good", "damaged"]
    assert "3 of 3" in lines[3]
    assert lines[4] == (
        f"! good: {store.at('runs/good')} is not whole: report/results.xlsx is gone or was changed. "
        "Make its report again: timnet runs report good."
    )
    assert lines[4] in command(store, capsys, "show", "good").replace("\n! ", "\n! good: ")
    command(store, capsys, "report", "good")
    assert states(store)["good"] == runs.FINISHED
    store.remove("runs/good/run.json")
    assert runs.run(store, "good").damage.endswith("run.json is gone or was changed. Give its command again.")


def test_a_report_that_lost_a_fold_is_not_finished(store):
    (fold, *_) = sorted(runs.run(store, "good").folds)
    store.delete(fold)
    assert runs.report_again(store, "good")["folds_completed"] == 2
    assert states(store)["good"] == runs.FAILED


def test_a_run_at_work_again_has_no_failed_folds(store):
    store.remove("runs/good/_DONE.json")  # as the first thing that its command does
    assert states(store)["good"] == runs.UNFINISHED


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"{}", "kind is missing (and 10 more faults)"),
        (b"[]", "it: input should be a valid dictionary or instance of"),
        (lambda facts: facts.update(corpora={}), "corpora: dictionary should have at least 1 item"),
        (lambda facts: facts.update(created="yesterday"), "created: invalid isoformat string: 'yesterday'"),
        (lambda facts: facts["corpora"]["GOOD"].pop("manifest"), "corpora.GOOD.manifest is missing. Give the run's"),
        (lambda facts: facts["corpora"]["GOOD"].update(features="features/GOOD/k"), "received 'features/GOOD/k'"),
        (lambda facts: facts["protocol"].pop("selection"), "protocol.selection is missing"),
    ],
)
def test_a_broken_run_is_one_line_wherever_it_is_read(store, capsys, broken, said):
    path = "runs/good/run.json"
    spoil(store, path, broken)
    for arguments in (
        ["runs", "show", "good"],
        ["runs", "report", "good"],
        ["show", "good", "--no-browser"],
        ["predict", __file__, "--model", "good"],
        ["export", "--model", "good", "--format", "npz", "--output", "never.npz"],
    ):
        line = refused(store, capsys, *arguments)
        assert line.startswith(f"timnet: {store.at(path)} cannot be used: "), arguments
        assert said in line
        assert line.endswith("Give the run's command again, or delete the run: timnet runs delete good.\n")
    lines = command(store, capsys, "list").splitlines()
    assert lines[1].split()[0] == "bad"
    assert lines[3].split()[:2] == ["good", "damaged"]
    assert lines[4].startswith(f"! good: {store.at(path)} cannot be used: ")
    assert command(store, capsys, "delete", "good", "--yes") == "Deleted good.\n"
    assert list(states(store)) == ["bad", "begun"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            b"{}",
            "cannot be used: created is missing (and 4 more faults). Make the report again: timnet runs report bad.",
        ),
        (b'{"created": "', "is not JSON"),
        (lambda summary: summary.update(created=""), "created: invalid isoformat string: '', received ''"),
        (lambda summary: summary["corpora"]["BAD"]["pooled"].pop("uar"), "corpora.BAD.pooled.uar is missing"),
    ],
)
def test_a_broken_summary_hides_no_other_run_and_can_be_made_again(store, capsys, broken, said):
    path = "runs/bad/report/summary.json"
    spoil(store, path, broken)
    lines = command(store, capsys, "list").splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["bad", "damaged"],
        ["begun", "unfinished"],
        ["good", "finished"],
    ]
    assert said in lines[4]
    for arguments in (["runs", "show", "bad"], ["show", "bad", "--no-browser"]):
        assert said in refused(store, capsys, *arguments)
    command(store, capsys, "report", "bad")
    assert states(store)["bad"] == runs.FAILED


def test_deleting_takes_a_yes_and_keeps_what_others_need(store, capsys):
    store.delete("runs/begun")
    assert "would be deleted" in command(store, capsys, "delete", "good")
    assert "MiB) and 3 folds that no other run needs would be" in command(
        store, capsys, "delete", "good", "--with-folds"
    )
    assert states(store)["good"] == runs.FINISHED
    shared = store.read_json("runs/good/run.json")
    store.write_json("runs/also/run.json", shared)
    assert command(store, capsys, "delete", "good", "--yes", "--with-folds") == (
        "Deleted good and 0 folds that no other run needs.\n"
    )
    folders = runs.run(store, "also").folds
    assert len(folders) == 3
    assert all(store.is_done(folder) for folder in folders)
    assert command(store, capsys, "delete", "also", "--yes", "--with-folds") == (
        "Deleted also and 3 folds that no other run needs.\n"
    )
    assert not any(store.is_done(folder) for folder in folders)
    assert list(states(store)) == ["bad"]


@pytest.mark.parametrize("other", ["settings.json", "run.json"])
@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_nothing_is_deleted_with_its_folds_while_another_run_does_not_say_which_it_needs(store, capsys, other, yes):
    """Else the folds stayed when the run that names them is gone: no command would find them any more."""
    store.delete("runs/begun")
    store.write_json(f"runs/begun/{other}", {})
    folds = runs.run(store, "good").folds
    said = refused(store, capsys, "runs", "delete", "good", "--with-folds", *yes)
    assert said == (
        "timnet: Nothing was deleted: nobody knows which folds begun needs, without a whole run.json. Finish or delete that "
        "first, or delete good alone, without --with-folds; its folds then stay.\n"
    )
    assert all(store.is_done(folder) for folder in folds)
    assert list(states(store)) == ["bad", "begun", "good"]
    assert command(store, capsys, "delete", "begun", "--yes") == "Deleted begun.\n"
    assert "Deleted good and 3 folds" in command(store, capsys, "delete", "good", "--with-folds", "--yes")


def test_a_run_that_does_not_say_which_its_folds_are_is_deleted_without_them(store, capsys):
    stay = (
        "Folds that it has finished stay: without a whole run.json begun does not say which they are. Its command, given "
        "again, finds them and makes its report; deleted after that with --with-folds, they go, too.\n"
    )
    assert command(store, capsys, "delete", "begun", "--with-folds").endswith(
        f"MiB) would be deleted from {store.uri}. Add --yes to do it.\n{stay}"
    )
    assert command(store, capsys, "delete", "begun", "--with-folds", "--yes") == f"Deleted begun.\n{stay}"
    assert list(states(store)) == ["bad", "good"]


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "/", "good/", "./good", "good/report", "../runs/good", "go\nod", "GOOD"]
)
def test_what_is_no_id_of_a_run_is_none(store, capsys, run_id):
    for arguments in (
        ["runs", "show", run_id],
        ["runs", "report", run_id],
        ["runs", "delete", run_id, "--yes"],
        ["runs", "delete", run_id, "--yes", "--with-folds"],
        ["show", run_id, "--no-browser"],
    ):
        line = refused(store, capsys, *arguments)
        assert line == f"timnet: There is no run {run_id!r} in {store.uri}; there are: bad, begun, good.\n"
    with pytest.raises(StoreError, match="There is no run"):
        runs.delete(store, run_id)
    assert states(store) == {"bad": runs.FAILED, "begun": runs.UNFINISHED, "good": runs.FINISHED}


@pytest.mark.parametrize(
    "path", ["trained", "trained/GOOD", "trained/./GOOD", "trained/GOOD/..", "runs/bad", "trained//GOOD", ""]
)
def test_no_foreign_run_has_more_deleted_than_folds(store, path):
    changed(
        store, "runs/good/run.json", lambda facts: facts["corpora"]["GOOD"]["seeds"]["46"]["folds"][0].update(path=path)
    )
    with pytest.raises(BrokenFileError, match=r"corpora.GOOD.seeds.46.folds.0.path: string should match pattern"):
        run_files.facts(store, "good")
    store.delete("runs/begun")
    assert runs.folds_of_none_else(store, "good") is None


def test_a_renamed_run_is_what_its_folder_is_called(store):
    store.write_json("runs/renamed/run.json", json.loads(store.read_bytes("runs/good/run.json")))
    assert report.build(store, "renamed")["run_id"] == "renamed"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "nobody"], "There is no run 'nobody' in"),
        (["delete", "nobody", "--yes"], "there are: bad, begun, good."),
        (["show"], "the following arguments are required: RUN. See --help."),
        (["list", "--stroe", "x"], "unrecognized arguments: --stroe x. See --help."),
    ],
)
def test_wrong_use_is_one_line(store, capsys, arguments, text):
    assert text in refused(store, capsys, "runs", *arguments)


def test_an_action_is_needed(capsys):
    with pytest.raises(SystemExit):
        main(["runs"])
    assert "the following arguments are required: ACTION. See --help." in capsys.readouterr().err
