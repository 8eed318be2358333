"""Command lines: layers of settings, and one clear line for a wrong value."""

import importlib.metadata
import subprocess
import sys

import pytest

from flows.command import parse
from timnet.config import AblationSettings, RunSettings
from timnet.errors import ConfigError
from timnet.plan import checked_ablation


def settings(*arguments):
    return parse("flows.cv", "about", list(arguments), {})[0]


def test_options_become_settings():
    given = settings(
        "--corpora", "EMODB,SAVEE", "--seeds", "46,47", "--folds", "5", "--skip-bad", "--gpus-per-fold", "0.25"
    )
    assert given.corpora == ("EMODB", "SAVEE")
    assert given.seeds == (46, 47)
    assert (given.folds, given.skip_bad, given.gpus_per_fold) == (5, True, 0.25)
    assert given.ray_address is None


@pytest.mark.parametrize("model", [RunSettings, AblationSettings])
def test_settings_survive_the_way_through_json(model):
    """As parameters of a deployed flow, where what is left open is written as null."""
    assert model.model_validate(model().model_dump(mode="json")) == model()
    assert model.model_validate_json(model(seeds="3,4").model_dump_json()).seeds == (3, 4)


def test_local_is_a_matter_of_settings():
    assert settings("--local").ray_address == "local"
    assert settings("--local", "--ray-address", "auto").ray_address == "auto"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "epochs: 7\nrun-id: from-file\nseeds: [1, 2]\n"),
        ("a.toml", 'epochs = 7\nrun_id = "from-file"\nseeds = [1, 2]\n'),
        ("a.json", '{"epochs": 7, "run-id": "from-file", "seeds": "1,2"}'),
    ],
)
def test_a_config_file_lies_under_the_options(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    given = settings("--config", str(file), "--run-id", "from-option")
    assert (given.epochs, given.run_id, given.seeds) == (7, "from-option", (1, 2))


@pytest.mark.parametrize("name", ["a.yaml", "a.toml"])
def test_one_seed_and_an_empty_file_are_fine(tmp_path, name):
    file = tmp_path / name
    file.write_text("# nothing yet\n")
    assert settings("--config", str(file)) == RunSettings()
    file.write_text("seeds: 46" if name == "a.yaml" else "seeds = 46")
    assert settings("--config", str(file)).seeds == (46,)


def test_an_option_in_two_spellings_and_an_empty_variable(tmp_path, monkeypatch):
    file = tmp_path / "a.yaml"
    file.write_text("run-id: a\nrun_id: b\n")
    with pytest.raises(ConfigError, match="gives run_id twice, with a dash and with an underscore"):
        settings("--config", str(file))
    monkeypatch.setenv("TIMNET_STORE", "")
    assert settings().store == RunSettings().store


@pytest.mark.parametrize("line", ["epochs: true", "seeds: [true]", "store: false"])
def test_yes_is_no_number(tmp_path, line):
    file = tmp_path / "a.yaml"
    file.write_text(line)
    with pytest.raises(ConfigError, match=f"--{line.split(':')[0]} "):
        settings("--config", str(file))


def test_a_value_of_two_kinds_is_complained_of_once():
    with pytest.raises(ConfigError) as caught:
        settings("--seeds", "abc")
    assert str(caught.value).count("--seeds") == 1


def test_the_name_of_an_ablation_leaves_room_for_its_models(tmp_path):
    given = AblationSettings(run_id="a" * 62, store=str(tmp_path))
    with pytest.raises(ConfigError, match=r"aaa is too long: .* may have 80 letters in all. Allowed are 60 here"):
        checked_ablation(given)
    assert len(checked_ablation(AblationSettings(run_id="a" * 60, store=str(tmp_path)))) == 5


def test_a_comparison_of_nothing_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "flows.compare"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "timnet: the following arguments are required: RUN. See --help.\n"


def test_the_environment_lies_between_file_and_options(tmp_path, monkeypatch):
    file = tmp_path / "a.yaml"
    file.write_text("store: from-file\ndata-root: from-file\n")
    monkeypatch.setenv("TIMNET_STORE", "from-environment")
    given = settings("--config", str(file))
    assert (given.store, given.data_root) == ("from-environment", "from-file")
    assert settings("--config", str(file), "--store", "from-option").store == "from-option"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--folds", "1"], "--folds 1: input should be greater than or equal to 2"),
        (["--folds-per-actor", "two"], "--folds-per-actor two: a whole number from 1 to 60, or auto"),
        (["--folds-per-actor", "0"], "--folds-per-actor 0: a whole number from 1 to 60, or auto"),
        (["--folds-per-actor", "2.5"], "--folds-per-actor 2.5: a whole number from 1 to 60, or auto"),
        (["--folds", "many"], "--folds many: input should be a valid integer"),
        (["--seeds", "1,x"], "--seeds x: input should be a valid integer"),
        (["--seeds", "4,4"], "--seeds 4,4: each seed once"),
        (["--seeds", "-1"], "--seeds -1: input should be greater than or equal to 0"),
        (["--seeds", ","], "--seeds (nothing): tuple should have at least 1 item"),
        (["--epochs", "0"], "--epochs 0: input should be greater than or equal to 1"),
        (["--gpus-per-fold", "inf"], "--gpus-per-fold inf: input should be a finite number"),
        (["--store", ""], "--store : string should have at least 1 character"),
        (["--run-id", "../x"], "--run-id ../x: string should match pattern"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--fold", "3"], "unrecognized arguments: --fold 3"),
        (["--epochs"], "argument --epochs: expected one argument"),
        (["--config", "/no/such.yaml"], "--config /no/such.yaml: cannot be read"),
    ],
)
def test_a_wrong_value_is_one_line(arguments, text):
    with pytest.raises(ConfigError) as caught:
        settings(*arguments)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "epoch: 3", "there is no option epoch; allowed are corpora, data_root"),
        ("a.yaml", "- 3", "expected options such as `epochs: 60`, received list"),
        ("a.yaml", "a: [", "is not the YAML it says it is"),
        ("a.toml", "a = ", "is not the TOML it says it is"),
        ("a.json", "{", "is not the JSON it says it is"),
        ("a.ini", "x", "the kind '.ini' is unknown; allowed are .yaml, .toml and .json"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, name, text, message):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        settings("--config", str(file))
    assert message in str(caught.value)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "flows.cv", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--protocol", "magic"], "There is no protocol 'magic'; allowed are speaker-independent, "),
        (["--features", "magic"], "--features magic: allowed are soxr_hq, published, paper-text"),
        (["--recipe", "magic"], "--recipe magic: allowed are "),
        (["--model", "magic"], "magic"),
        (["--corpora", "EMODB"], "--corpora EMODB needs --data-root DIR"),
        (["--corpora", "nothing"], "There is no corpus 'nothing'; allowed are CASIA, DEMO, EMODB"),
        (["--corpora", "demo,DEMO"], "--corpora names DEMO twice"),
        (["--split-table", "x.csv"], "--protocol table and --split-table FILE go together"),
        (["--store", "nosuch://x"], "The store 'nosuch://x' cannot be opened"),
        (["--folds", "1"], "--folds 1: input should be greater than or equal to 2"),
    ],
)
def test_a_wrong_value_ends_before_any_work_with_status_2(tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    done = command("--local", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_option_with_its_default():
    done = command("--help")
    assert done.returncode == 0
    for option in (
        "--corpora",
        "--data-root",
        "--store",
        "--seeds",
        "--folds",
        "--epochs",
        "--protocol",
        "--features",
        "--run-id",
        "--max-parallel",
        "--threads-per-fold",
        "--config",
        "--local",
        "--skip-bad",
    ):
        assert option in done.stdout
    assert "[default: speaker-independent]" in " ".join(done.stdout.split())
    assert "published-leaky" in done.stdout


def test_the_version_is_that_of_the_package(timnet_command):
    assert timnet_command("--version") == (0, f"timnet {importlib.metadata.version('timnet')}\n", "")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['cv', '--help']\n"
        "import runpy\n"
        "try: runpy.run_module('flows.cv', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'prefect', 'ray', 'tensorflow', 'keras', 'librosa', 'numba', 'sklearn', 'matplotlib', 'scipy.signal'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
