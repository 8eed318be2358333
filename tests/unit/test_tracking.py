"""Trackers: what is read back with their own readers is what the store holds, and nothing is written twice."""

import os
import re
import socket
import subprocess
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from stored_run import RUN, Made, write_run

from tasks.context import RunContext
from tasks.jobs import FoldJob
from tasks.progress import Reporter
from tasks.tracking import tracked
from timnet import event_files, mlflow_runs, report, runs, tables, tracking
from timnet.config import RECIPES, FoldSettings, ModelSettings, RunSettings
from timnet.errors import ConfigError, TrackingError
from timnet.plan import plan
from timnet.store import Store
from timnet.tracking import CURVES, FoldOfRun, TrackedRun

# SQLAlchemy warns of what MLflow and alembic do with it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CORPUS = Made("EMODB")
SETTINGS = {"model": "timnet", "folds": 3, "recipe/learning_rate": 0.004, "skip_bad": False}


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "store"))
    write_run(store, [CORPUS], seeds=(46,))
    return store


@pytest.fixture
def summary(store):
    return report.build(store, RUN)


@pytest.fixture
def at_home(monkeypatch):
    """Without the variables that this machine may have for MLflow, and with no patience for a server."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    for name in mlflow_runs._SETTINGS:  # which are set where they are not
        monkeypatch.setenv(name, mlflow_runs._SETTINGS[name])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def tracked_run(key="k1", n_folds=3):
    folds = {
        f"EMODB seed 46 fold {i}": FoldOfRun("EMODB", 46, i, f"trained/EMODB/46-{i}") for i in range(1, n_folds + 1)
    }
    return TrackedRun(RUN, key, SETTINGS, {"kind": "cv", "protocol": "speaker-independent"}, folds)


def history(store, fold):
    return store.read_table(f"trained/EMODB/46-{fold}/history.parquet", tables.HISTORY).to_pylist()


def expected(store, fold):
    """Name -> [(step, value)] as the store has it."""
    found = {}
    for row in history(store, fold):
        for column, name in CURVES.items():
            if row[column] is not None:
                found.setdefault(name, []).append((row["epoch"], row[column]))
    facts = store.read_json(f"trained/EMODB/46-{fold}/metrics.json")
    last = len(history(store, fold))
    return found | {f"final/{name}": [(last, facts[name])] for name in ("war", "uar", "f1_macro")}


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("wandb",), r"--track wandb: allowed are tensorboard, mlflow, or both, separated by a comma\."),
        (("mlflow", "Tensorboard"), "--track Tensorboard: allowed are"),
    ],
)
def test_an_unknown_tracker_is_refused(store, names, text):
    with pytest.raises(ConfigError, match=text):
        tracking.check(names, store)


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_a_missing_package_names_the_extra(store, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # what an import then finds is that there is no such package
    with pytest.raises(ConfigError, match=rf"{name}, which is not installed\. .* pip install 'timnet\[tracking\]'"):
        tracking.check((name,), store)


def test_a_database_does_not_go_to_s3(at_home, monkeypatch):
    store = Store("s3://bucket/prefix")
    with pytest.raises(ConfigError, match=r"needs MLFLOW_TRACKING_URI, .* cannot lie in s3://bucket/prefix\. Set it"):
        tracking.check(("mlflow",), store)
    tracking.check(("tensorboard",), store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    tracking.check(("mlflow",), store)


@pytest.mark.parametrize("name", ["p%20q", "really?", "a%2Fb"])
def test_a_database_does_not_go_where_its_address_would_be_another(at_home, tmp_path, monkeypatch, name):
    """It would lie beside the store, or there is no such folder, which MLflow finds out after half a minute."""
    store = Store(str(tmp_path / name))
    with pytest.raises(ConfigError) as refused:
        tracking.check(("mlflow",), store)
    assert str(refused.value) == (
        f"--track mlflow needs MLFLOW_TRACKING_URI, as MLflow's database cannot lie in {store.uri} with that path: % and ? "
        "mean something else in an address of a database. Set it to a server, http://HOST:5000, or to a file, "
        "sqlite:////FOLDER/mlflow.db."
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    tracking.check(("mlflow",), store)


def test_a_database_goes_where_its_address_says(at_home, tmp_path):
    store = Store(str(tmp_path / "my störe #1 @ 100% & more"))
    tracking.check(("mlflow",), store)
    mlflow_runs.Run(store, tracked_run()).end("FINISHED")
    assert [path.name for path in tmp_path.iterdir()] == ["my störe #1 @ 100% & more"]
    assert (tmp_path / "my störe #1 @ 100% & more/mlflow/mlflow.db").is_file()


def test_tracking_is_no_part_of_what_a_run_is(tmp_path):
    with_it, without = (plan(RunSettings(store=str(tmp_path), track=track)) for track in ("tensorboard,mlflow", None))
    assert with_it.run_id == without.run_id
    assert with_it.settings.track == ("tensorboard", "mlflow")


def test_what_a_protocol_does_not_look_at_has_no_curve(tmp_path):
    store = Store(str(tmp_path))
    for protocol, there in (
        ("published", set()),
        ("published-leaky", {"test"}),
        ("speaker-independent", {"validation"}),
    ):
        write_run(store, [CORPUS], seeds=(46,), protocol=protocol)
        (names,) = {frozenset(epoch.scalars) for epoch in tracking.epochs(history(store, 1))}
        expected = {f"{what}/{part}" for what in ("loss", "accuracy") for part in {"train"} | there}
        assert names == expected | {"learning_rate", "seconds"}


# -- TensorBoard -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def without_tensorflow():
    """TensorBoard's readers go without TensorFlow where there is a module of this name, and so are there at once."""
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
    yield
    del sys.modules["tensorboard.compat.notf"]


@pytest.fixture
def read():
    """Read a folder of event files as TensorBoard does; name -> [(step, value)]."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        events.Reload()
        return {
            name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]
        }

    return read


def written(store):
    """Every event file of the run."""
    return [
        f"{name}/{file}"
        for name in store.children(f"tensorboard/{RUN}")
        for file in store.children(f"tensorboard/{RUN}/{name}")
    ]


def test_tensorboard_reads_the_history_back(store, summary, read):
    run = event_files.Run(store, tracked_run())
    for fold in tracked_run().folds:
        run.fold(fold)
    run.report(summary)
    assert store.children(f"tensorboard/{RUN}") == ["EMODB pooled", *tracked_run().folds]
    for fold in (1, 2, 3):
        found = read(store.at(f"tensorboard/{RUN}/EMODB seed 46 fold {fold}"))
        as_float32 = {
            name: [(step, float(np.float32(value))) for step, value in rows]
            for name, rows in expected(store, fold).items()
        }
        assert found == as_float32
        assert len(found["loss/validation"]) == 12
    scores, corpus = read(store.at(f"tensorboard/{RUN}/EMODB pooled")), summary["corpora"]["EMODB"]
    assert scores["pooled/uar"] == [(0, float(np.float32(corpus["pooled"]["uar"])))]
    assert scores["pooled/war_low"] == [(0, float(np.float32(corpus["interval"]["war"][0])))]
    assert scores["pooled/war_high"] == [(0, float(np.float32(corpus["interval"]["war"][1])))]
    assert run.end("FINISHED") == f"tensorboard --logdir '{store.at('tensorboard')}'"


def test_epochs_lie_as_far_apart_as_they_took(store):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    fold = tracking.finished_fold(store, "trained/EMODB/46-1")
    store.write_bytes("one", event_files.of_fold(fold, ended_s=1000.0))
    times = {event.step: event.wall_time for event in EventFileLoader(store.at("one")).Load() if event.step}
    assert times == pytest.approx({epoch: 1000 - 0.4 * (12 - epoch) for epoch in range(1, 13)})


def test_hyperparameters_are_a_row_of_tensorboards(store, summary):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    event_files.Run(store, tracked_run()).report(summary)
    events = EventAccumulator(store.at(f"tensorboard/{RUN}/EMODB pooled"))
    events.Reload()
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    assert (values["run"].string_value, values["corpus"].string_value) == (RUN, "EMODB")
    assert values["recipe/learning_rate"].number_value == 0.004
    assert values["skip_bad"].bool_value is False


def test_tensorboard_has_every_fold_once(store, summary):
    def again(n_folds=3):
        run = event_files.Run(store, tracked_run(n_folds=n_folds))
        for fold in tracked_run(n_folds=n_folds).folds:
            run.fold(fold)
        run.report(summary)
        return {path: os.stat(store.at(f"tensorboard/{RUN}/{path}")).st_mtime_ns for path in written(store)}

    first = again()
    assert len(first) == 4
    assert again() == first
    # Trained anew under other versions: the fold's results lie in another folder, and its curves replace the old ones.
    other = tracked_run()
    moved = FoldOfRun("EMODB", 46, 1, "trained/EMODB/46-2")
    event_files.Run(store, TrackedRun(RUN, "k2", {}, {}, other.folds | {"EMODB seed 46 fold 1": moved})).fold(
        "EMODB seed 46 fold 1"
    )
    assert len(written(store)) == 4
    assert written(store) != sorted(first)
    assert len(again(n_folds=2)) == 3  # the third fold is none of this run


def test_a_deleted_run_takes_its_curves_along(store, summary):
    event_files.Run(store, tracked_run()).report(summary)
    runs.delete(store, RUN)
    assert store.children("tensorboard") == []


def test_nothing_that_drives_a_run_loads_tensorflow(store):
    code = (
        "import sys\n"
        "from timnet import event_files, mlflow_runs, report, tracking\n"
        "from timnet.store import Store\n"
        f"store = Store({store.uri!r})\n"
        f"folds = {{'EMODB seed 46 fold 1': tracking.FoldOfRun('EMODB', 46, 1, 'trained/EMODB/46-1')}}\n"
        f"run = event_files.Run(store, tracking.TrackedRun({RUN!r}, 'k', {{'a': 1}}, {{}}, folds))\n"
        "run.fold('EMODB seed 46 fold 1')\n"
        f"run.report(report.build(store, {RUN!r}))\n"
        "mlflow_runs._mlflow().MlflowClient('http://127.0.0.1:9')\n"
        "print(*(name in sys.modules for name in ('tensorboard', 'mlflow', 'tensorflow')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
    assert len(written(store)) == 2


# -- MLflow ----------------------------------------------------------------------------------------------------------


def client(store):
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{store.at('mlflow')}/mlflow.db")


def in_mlflow(store):
    """Every run of the experiment: the parents, and the folds by name."""
    reader = client(store)
    found = reader.search_runs([reader.get_experiment_by_name("timnet").experiment_id])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return parents, {run.info.run_name: run for run in found if "mlflow.parentRunId" in run.data.tags}


def log_all(store, summary, key="k1"):
    run = mlflow_runs.Run(store, tracked_run(key))
    for fold in tracked_run().folds:
        run.fold(fold)
    run.report(summary)
    return run.end("FINISHED")


def test_mlflow_reads_back_what_the_store_holds_and_has_it_once(store, summary, at_home, tmp_path):
    where = log_all(store, summary)
    assert where == f"run {RUN} in sqlite:///{store.at('mlflow')}/mlflow.db"
    reader = client(store)
    (parent,), folds = in_mlflow(store)
    assert parent.info.run_name == RUN
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {
        "model": "timnet",
        "folds": "3",
        "recipe/learning_rate": "0.004",
        "skip_bad": "False",
    }
    assert parent.data.tags["timnet.protocol"] == "speaker-independent"
    corpus = summary["corpora"]["EMODB"]
    assert parent.data.metrics["EMODB/pooled/uar"] == corpus["pooled"]["uar"]
    assert parent.data.metrics["EMODB/pooled/uar_high"] == corpus["interval"]["uar"][1]
    assert sorted(folds) == list(tracked_run().folds)
    for number, (name, run) in enumerate(sorted(folds.items()), start=1):
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params == {"corpus": "EMODB", "seed": "46", "fold": str(number)}
        found = {
            metric: sorted((one.step, one.value) for one in reader.get_metric_history(run.info.run_id, metric))
            for metric in run.data.metrics
        }
        assert found == expected(store, number), name
    page = reader.download_artifacts(parent.info.run_id, "report/index.html", str(tmp_path))
    with open(page, "rb") as file:
        assert file.read() == store.read_bytes(f"runs/{RUN}/report/index.html")
    assert reader.download_artifacts(parent.info.run_id, "report/summary.json", str(tmp_path))

    # The same command again.
    log_all(store, summary)
    again, folds_again = in_mlflow(store)
    assert [run.to_dictionary() for run in again] == [parent.to_dictionary()]
    assert {run.info.run_id for run in folds_again.values()} == {run.info.run_id for run in folds.values()}

    # A fold that its process did not get to the end of.
    reader.update_run(folds["EMODB seed 46 fold 2"].info.run_id, "RUNNING")
    log_all(store, summary)
    _, mended = in_mlflow(store)
    assert [mended[name].info.run_id == run.info.run_id for name, run in sorted(folds.items())] == [True, False, True]

    # The same name with other results.
    log_all(store, summary, key="k2")
    assert len(in_mlflow(store)[0]) == 2


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        ("", "does not answer; check MLFLOW_TRACKING_URI and that it is up"),
        ("anna:s3cr:p%40ss@", "does not answer"),
        ("anna:s3cr:t/p@ss@", "InvalidUrlException: "),
    ],
)
def test_a_server_that_is_not_there_is_one_line_without_credentials(store, at_home, monkeypatch, credentials, text):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{credentials}127.0.0.1:{port}")
    with pytest.raises(TrackingError, match=rf"^MLflow at http://127\.0\.0\.1:{port}: {text}") as caught:
        mlflow_runs.Run(store, tracked_run())
    assert "\n" not in str(caught.value)
    assert not re.search("anna|s3cr|p@ss|p%40ss", str(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("http://user:pass@host:5000/path", "http://host:5000/path"),
        ("postgresql://u:p/@x@host/db?password=p", "postgresql://host/db"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_a_tracking_uri_is_shown_without_credentials(uri, text):
    assert mlflow_runs.shown(uri) == text


# -- following a run -------------------------------------------------------------------------------------------------


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<html>\n" + b"you may not " * 100)

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def refusing():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def silent():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def follow(store, summary, at_home, capsys):
    """A whole run told to the trackers, as the flow does; what it says, and how it ended."""
    settings = RunSettings(store=store.uri, run_id=RUN, track="tensorboard,mlflow")
    model = ModelSettings("timnet", 188, 39, 4)
    jobs = [
        FoldJob("EMODB", 46, i, None, None, FoldSettings(model, RECIPES["demo"], "validation", 46, i), f"trained/EMODB/46-{i}")
        for i in (1, 2, 3)
    ]  # fmt: skip

    def follow(error=None):
        with (
            Reporter() as reporter,
            RunContext(settings, RUN, reporter) as context,
            tracked(plan(settings), jobs, context) as told,
        ):
            for job in jobs:
                told.fold(job.name)
            if error is not None:
                raise error
            told.report(summary)
        return capsys.readouterr().err

    return follow


def test_a_run_is_followed_by_every_tracker_that_is_named(follow, store):
    said = follow()
    assert said.count("Tracked: ") == 2
    assert f"Tracked: tensorboard --logdir '{store.at('tensorboard')}'" in said
    assert len(written(store)) == 4
    (parent,), folds = in_mlflow(store)
    assert (parent.info.status, len(folds)) == ("FINISHED", 3)
    assert parent.data.params["recipe/epochs"] == "25"
    assert parent.data.params["seeds"] == "46"


def test_mlflow_hears_how_a_run_ended(follow, store, monkeypatch):
    monkeypatch.setattr("tasks.tracking.PATIENCE_WHEN_STOPPED_S", 60.0)
    for error, status in ((ValueError("broken"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (None, "FINISHED")):
        if error is None:
            follow()
        else:
            with pytest.raises(type(error)):
                follow(error)
        ((parent,), folds) = in_mlflow(store)
        assert (parent.info.status, sorted(folds)) == (status, list(tracked_run().folds))


def test_a_server_that_refuses_is_said_once_and_the_others_go_on(follow, store, refusing, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://anna:secret@127.0.0.1:{refusing}")
    said = follow()
    assert said.count("Warning: --track mlflow failed, and the run goes on without it") == 1
    assert "403" in said
    assert "secret" not in said
    assert len(said) < 1000
    assert len(written(store)) == 4


def test_a_server_that_never_answers_holds_nothing_up(follow, store, silent, monkeypatch):
    monkeypatch.setattr("tasks.tracking.PATIENCE_S", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent}")
    said = follow()
    assert said.count("Warning: --track mlflow failed, and the run goes on without it (no answer for 0 s)") == 1
