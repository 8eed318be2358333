"""From somebody's flat folder to a report: imported, and run by the command that the import names."""

import json
import shlex

import pytest
from tiny import EMOTIONS, SPEAKERS, write_tone

from timnet.store import Store


@pytest.mark.ray
@pytest.mark.prefect
@pytest.mark.slow
def test_the_command_that_an_import_names_runs_it(tmp_path, command, timnet_command):
    for e, (emotion, hz) in enumerate(EMOTIONS.items()):
        for s, speaker in enumerate(SPEAKERS):
            for take in range(3):
                write_tone(tmp_path / "flat" / f"{speaker}_{emotion}_{take}.wav", hz, seed=100 * e + 10 * s + take)
    pattern = r"(?P<speaker>\w+)_(?P<emotion>[a-z]+)_\d\.wav"
    status, out, err = timnet_command(
        "corpora", "import", tmp_path / "flat", "--name", "mine", "--data-root", tmp_path / "data", "--pattern", pattern
    )
    assert status == 0, err
    [line] = [line for line in out.splitlines() if line.endswith("--model svm")]
    program, *arguments = shlex.split(line)
    assert (program, arguments[:3]) == ("python", ["-m", "flows.cv", "--local"])
    store = tmp_path / "store"
    command.run(*arguments[3:], "--store", str(store), "--run-id", "mine")
    summary = json.loads(Store(str(store)).read_bytes("runs/mine/report/summary.json"))
    corpus = summary["corpora"]["mine"]
    assert corpus["folds_completed"] == corpus["folds_total"] == len(SPEAKERS)
    assert corpus["pooled"]["war"] > 0.5
