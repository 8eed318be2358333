"""What a run is called, and what the name stands for."""

from dataclasses import replace

import pytest

from timnet import splits
from timnet.config import RECIPES, AblationSettings, EvaluateSettings, FoldSettings, ModelSettings, RunSettings
from timnet.errors import ConfigError
from timnet.plan import check_claim, check_name, checked_ablation, plan, take_name, without_effect
from timnet.store import Store

ONE, OTHER = {"DEMO": "1" * 16}, {"DEMO": "2" * 16}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def named(store, recordings, **settings):
    return take_name(plan(RunSettings(store=store.uri, **settings)), recordings, store).run_id


def reported(store, run_id):
    store.write_json(f"runs/{run_id}/report/summary.json", {})


def test_the_same_settings_have_the_same_name(store):
    assert named(store, ONE) == named(store, ONE)
    assert named(store, ONE) == named(store, ONE, max_parallel=3, checkpoint_every_epochs=1, data_root="/elsewhere")


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 3},
        {"seeds": (1,)},
        {"model": "svm"},
        {"threads_per_fold": 2},
        {"gpus_per_fold": 0.5},
        {"folds_per_actor": 3},
        {"skip_bad": True},
    ],
)
def test_settings_that_change_results_have_another_name_and_refuse_a_given_one(store, other):
    assert named(store, ONE, **other) != named(store, ONE)
    named(store, ONE, run_id="mine")
    with pytest.raises(ConfigError, match=r"--run-id mine is taken by a run with other settings \("):
        check_claim(plan(RunSettings(store=store.uri, run_id="mine", **other)), store)


def test_how_large_a_share_of_a_gpu_is_changes_no_result(store):
    assert named(store, ONE, gpus_per_fold=0.5) == named(store, ONE, gpus_per_fold=1)


def test_how_many_folds_are_in_lockstep_changes_no_result(store):
    """That they are does; and `auto` without a GPU is one fold an actor, as without the option."""
    assert named(store, ONE, folds_per_actor=3) == named(store, ONE, folds_per_actor=10)
    assert named(store, ONE, folds_per_actor="auto") == named(store, ONE)
    on_gpu = {"gpus_per_fold": 1}
    assert named(store, ONE, folds_per_actor="auto", **on_gpu) == named(store, ONE, folds_per_actor=3, **on_gpu)
    assert named(store, ONE, folds_per_actor="auto", **on_gpu) != named(store, ONE, **on_gpu)


def test_a_report_of_other_recordings_keeps_its_name(store):
    first = named(store, ONE)
    reported(store, first)
    second = named(store, OTHER)
    assert second.startswith(f"{first}-")
    reported(store, second)
    assert (named(store, ONE), named(store, OTHER)) == (first, second)


def test_a_given_name_is_not_given_to_other_recordings(store):
    named(store, ONE, run_id="mine")
    reported(store, "mine")
    assert named(store, ONE, run_id="mine") == "mine"
    with pytest.raises(ConfigError, match=r"--run-id mine is taken by a run with other recordings of DEMO\. Use"):
        named(store, OTHER, run_id="mine")


def test_a_name_without_a_report_is_taken_over(store):
    """As after recordings were mended that had stopped the run."""
    assert named(store, ONE, run_id="mine") == named(store, OTHER, run_id="mine")
    reported(store, "mine")
    with pytest.raises(ConfigError, match="other recordings"):
        named(store, ONE, run_id="mine")


def test_results_that_do_not_say_what_they_are_of_are_left_alone(store):
    for text in (None, b"{", b"{}", b"[]"):
        named(store, ONE, run_id="mine")
        reported(store, "mine")
        if text is None:
            store.remove("runs/mine/settings.json")
        else:
            store.write_bytes("runs/mine/settings.json", text)
        for ask in (
            lambda: named(store, ONE, run_id="mine"),
            lambda: check_claim(plan(RunSettings(store=store.uri, run_id="mine")), store),
        ):
            with pytest.raises(
                ConfigError, match=r"runs/mine does not say what it is of: its settings\.json is missing"
            ):
                ask()
        store.delete("runs/mine")


def test_a_report_counts_though_its_summary_is_gone(store):
    named(store, ONE, run_id="mine")
    store.write_json("runs/mine/run.json", {})
    with pytest.raises(ConfigError, match="other recordings"):
        named(store, OTHER, run_id="mine")


def test_a_name_that_was_taken_meanwhile_is_noticed(store):
    """Before a report is written: two runs that began at once under one name."""
    mine = take_name(plan(RunSettings(store=store.uri, run_id="mine")), ONE, store)
    check_name(mine, ONE, store)
    named(store, OTHER, run_id="mine")
    with pytest.raises(ConfigError, match="taken by a run with other recordings of DEMO, which began while this one"):
        check_name(mine, ONE, store)


def test_names_that_an_ablation_makes_get_an_ending(store):
    of_svm = checked_ablation(AblationSettings(store=store.uri, models="svm,tcn"))[0]
    reported(store, take_name(plan(of_svm), ONE, store).run_id)
    again = take_name(plan(of_svm), OTHER, store).run_id
    assert again.startswith(f"{of_svm.run_id}-")
    assert take_name(plan(of_svm), ONE, store).run_id == of_svm.run_id


def test_a_split_table_counts_by_what_is_in_it(store, tmp_path):
    """Not by its path: the same table elsewhere is the same run, another one under the old path is another."""
    text = "utterance_id,part\na,train\nb,validation\nc,test\n"
    for name in ("here.csv", "there.csv"):
        (tmp_path / name).write_text(text)
    (tmp_path / "other.csv").write_text(text.replace("c,test", "d,test"))

    def of(name):
        return named(store, ONE, protocol="table", split_table=str(tmp_path / name))

    assert of("here.csv") == of("there.csv") != of("other.csv")


def test_an_ablation_with_one_more_model_keeps_the_runs_of_the_others(store):
    few = checked_ablation(AblationSettings(store=store.uri, models="timnet,tcn"))
    more = checked_ablation(AblationSettings(store=store.uri, models="timnet,tcn,svm"))
    assert [one.run_id for one in few] == [one.run_id for one in more][:2]


def test_what_computes_a_fold_is_part_of_its_key():
    """Sums of floats come out otherwise with more threads and on a GPU; how often a fold is saved changes nothing."""
    model = ModelSettings("timnet", 63, 39, 4)
    fold = FoldSettings(model, RECIPES["demo"], "last", seed=1, fold=1)
    assert replace(fold, threads=2).that_train() != fold.that_train() != replace(fold, on_gpu=True).that_train()
    assert replace(fold, in_lockstep=True).that_train() != fold.that_train()
    assert "in_lockstep" not in fold.that_train()  # what was trained before there was lockstep is still found
    assert replace(fold, checkpoint_every_epochs=3).that_train() == fold.that_train()
    assert replace(fold, recipe=replace(fold.recipe, name="other")).that_train() == fold.that_train()


def test_patience_needs_validation_data(store):
    with pytest.raises(ConfigError) as caught:
        plan(RunSettings(store=store.uri, protocol="published", patience=5))
    assert str(caught.value) == (
        "--patience 5 lets validation data end a training, and with the protocol published they choose nothing. Leave it out, "
        "or use a --protocol with which they do: speaker-independent, leave-one-speaker-out, leave-session-out, "
        "leave-sentence-out, speaker-and-sentence, stratified, table."
    )
    with pytest.raises(ConfigError, match="with the protocol stratified-leaky they choose nothing"):
        plan(RunSettings(store=store.uri, protocol="stratified-leaky", patience=5))
    planned = plan(RunSettings(store=store.uri, patience=5, epochs=7))
    assert (planned.corpora[0].recipe.patience_epochs, planned.corpora[0].recipe.epochs) == (5, 7)


def test_options_that_do_nothing_are_known():
    assert without_effect(RunSettings(model="svm", epochs=7, patience=3)) == ["--epochs", "--patience"]
    assert without_effect(RunSettings(model="svm")) == []
    assert without_effect(RunSettings(epochs=7)) == []


@pytest.mark.parametrize("model", ["svm", "nothing"])
def test_lockstep_is_for_networks(store, model):
    with pytest.raises(ConfigError) as caught:
        plan(RunSettings(store=store.uri, model=model, folds_per_actor=3))
    if model == "svm":
        assert str(caught.value) == (
            "--folds-per-actor 3 trains networks in lockstep, and svm is none that can be: allowed are tcn, timnet, "
            "timnet-forward, timnet-mean-fusion, timnet-single-scale. Use --folds-per-actor 1."
        )
    else:
        assert "There is no model 'nothing'" in str(caught.value)


def test_the_data_root_is_noted_as_it_is_called_from_every_folder(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/anna")
    given = {"root": f"{tmp_path}/root", "../x/": f"{tmp_path.parent}/x", "~/data": "/home/anna/data"}
    given |= {uri: uri for uri in ("/data", "s3://bucket/corpora", "file:///data")}
    made = {root: plan(RunSettings(store=store.uri, data_root=root)) for root in given}
    assert {root: planned.settings.data_root for root, planned in made.items()} == given
    without = plan(RunSettings(store=store.uri))
    assert without.settings.data_root is None
    assert {(planned.run_id, str(planned.claim)) for planned in made.values()} == {(without.run_id, str(without.claim))}


@pytest.mark.parametrize("protocol", [name for name in splits.PROTOCOLS if name != "table"])
def test_of_given_weights_only_the_folds_are_described(store, tmp_path, protocol):
    """How they were trained and what chose their epoch is not what the protocol would have done."""
    for fold in range(1, 6):
        (tmp_path / f"5-fold_weights_best_{fold}.hdf5").write_bytes(b"any")
    planned = plan(EvaluateSettings(store=store.uri, weights=str(tmp_path), protocol=protocol))
    folds = splits.get(protocol).folds
    assert planned.protocol.description == (
        f"{folds}; how the weights' epoch was chosen is not known here; TIM-Net's authors chose theirs ON THE TEST FOLD"
    )
    assert not any(word in folds for word in ("epoch", "choice", "corrected", "training", "validation"))
    assert plan(RunSettings(store=store.uri, protocol=protocol)).protocol is splits.get(protocol)
