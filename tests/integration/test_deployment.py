"""Prefect as its users have it: a server, the deployments of prefect.yaml, a worker, and runs started by name."""

import json
from typing import Any

import pytest
from served import Prefect
from tiny import predictions

from timnet.config import AblationSettings, CrossCorpusSettings, EvaluateSettings, RunSettings

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

DEPLOYMENTS = {
    "timnet-cv/all-corpora": RunSettings,
    "timnet-cv/one-corpus": RunSettings,
    "timnet-cv/demo": RunSettings,
    "timnet-evaluate/published-weights": EvaluateSettings,
    "timnet-cross-corpus/published-pairs": CrossCorpusSettings,
    "timnet-ablation/published-models": AblationSettings,
}


def deployment(prefect: Prefect, name: str) -> dict[str, Any]:
    return prefect.ask(f"/deployments/name/{name}")


TINY = {"corpora": ["TINY"], "folds": 3, "seeds": [7], "epochs": 2, "recipe": "demo", "max_parallel": 2}


@pytest.fixture(scope="module")
def begun(prefect, recordings) -> dict[str, str]:
    """Runs that are at work at the same time, each by its id."""
    elsewhere = {"data_root": str(recordings), "store": str(prefect.home / "elsewhere")}
    return {
        "all": prefect.begin("timnet-cv/all-corpora", **TINY, run_id="deployed"),
        "elsewhere": prefect.begin("timnet-cv/one-corpus", **TINY | {"model": "svm"}, **elsewhere, run_id="elsewhere"),
        "without data": prefect.begin("timnet-cv/all-corpora"),  # with the deployment's own parameters
        "without weights": prefect.begin("timnet-evaluate/published-weights"),
    }


def test_all_corpora_completes_and_leaves_its_summary(prefect, begun):
    """The places are the worker's own; what is computed comes from the parameters."""
    run = prefect.ended(begun["all"])
    assert run["state"]["name"] == "Completed", f"{run['state']}\n{prefect.log('worker')}"
    assert run["name"] == "deployed"
    summary = json.loads((prefect.home / "store/runs/deployed/report/summary.json").read_text())
    assert [fold["state"] for fold in summary["corpora"]["TINY"]["folds"]] == ["completed"] * 3
    wanted = {"sort": "NAME_ASC", "limit": 50, "flow_runs": {"id": {"any_": [run["id"]]}}}
    states = {task["name"]: task["state"]["type"] for task in prefect.ask("/task_runs/filter", wanted)}
    assert [states.get(f"TINY seed 7 fold {fold}") for fold in (1, 2, 3)] == ["COMPLETED"] * 3


@pytest.mark.timeout(600)  # behind the runs that are at work already
def test_the_demo_needs_nothing_but_its_name(prefect, begun):
    for run in begun.values():
        prefect.ended(run)  # they need the CPUs
    run = prefect.ended(prefect.begin("timnet-cv/demo"))
    assert run["state"]["name"] == "Completed", f"{run['state']}\n{prefect.log('worker')}"
    assert (prefect.home / "store/runs" / run["name"] / "report/index.html").is_file()


def test_places_in_the_parameters_win_over_the_workers(prefect, begun):
    run = prefect.ended(begun["elsewhere"])
    assert run["state"]["name"] == "Completed", f"{run['state']}\n{prefect.log('worker')}"
    assert (prefect.home / "elsewhere/runs/elsewhere/report/summary.json").is_file()
    assert not (prefect.home / "store/runs/elsewhere").exists()


@pytest.mark.timeout(600)  # behind the runs that are at work already
def test_given_weights_are_evaluated(prefect, begun, finished, weights):
    for run in begun.values():
        prefect.ended(run)
    as_trained = {"seeds": [7], "folds": 3, "protocol": "speaker-independent", "features": "soxr_hq"}
    given = {"corpora": ["TINY"], "weights": str(weights), **as_trained, "run_id": "evaluated"}
    run = prefect.ended(prefect.begin("timnet-evaluate/published-weights", **given))
    assert run["state"]["name"] == "Completed", f"{run['state']}\n{prefect.log('worker')}"
    evaluated, trained = predictions(prefect.home / "store", "evaluated"), predictions(finished[0])
    assert evaluated["utterance_id"].equals(trained["utterance_id"])
    assert evaluated["predicted"].equals(trained["predicted"])


@pytest.mark.parametrize(("name", "why"), [("without data", "CASIA"), ("without weights", "EMODB")])
def test_a_run_that_is_refused_fails_and_says_why(name, why, prefect, begun):
    state = prefect.ended(begun[name])["state"]
    assert state["type"] == "FAILED", state
    assert why in state["message"]


@pytest.mark.parametrize(("name", "model"), DEPLOYMENTS.items())
def test_the_form_of_a_deployment_shows_the_typed_settings(name, model, prefect):
    found = deployment(prefect, name)
    assert found["work_pool_name"] == "timnet"
    model.model_validate(found["parameters"]["settings"])  # what prefect.yaml sets is right
    schema = found["parameter_openapi_schema"]
    fields = schema["definitions"][model.__name__]["properties"]
    assert fields.keys() == model.model_fields.keys()
    for option, described in model.model_fields.items():
        assert fields[option]["description"] == described.description
        if not described.is_required():
            default = list(described.default) if isinstance(described.default, tuple) else described.default
            assert fields[option].get("default") == default
    assert found["enforce_parameter_schema"]


def test_the_server_refuses_parameters_of_the_wrong_type(prefect):
    with pytest.raises(AssertionError, match="folds"):
        prefect.begin("timnet-cv/demo", folds="many")
