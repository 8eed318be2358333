"""What contributors rely on: hooks that run what `make lint` runs, and markers that say what a test needs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def recipe(target):
    """The commands of a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in lines.splitlines()]


def test_hooks_are_what_make_lint_runs_with_the_locked_tools():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert entries == recipe("lint")
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    for command in entries + recipe("hooks"):
        tool = command.split()[0]
        assert os.access(Path(sys.executable).with_name(Path(tool).name), os.X_OK), tool


@pytest.mark.parametrize(
    ("line", "marker"),
    [
        ("/usr/bin/chromium --headless", "browser"),
        (f"{sys.prefix}/bin/rclone serve s3 folder", "s3"),
        (f"{sys.prefix}/lib/ray/core/src/ray/gcs/gcs_server --log_dir=x", "ray"),
        (f"{sys.executable} -m tasks.local_api 3", "prefect"),
    ],
)
def test_a_test_without_its_marker_starts_nothing(line, marker):
    with pytest.raises(RuntimeError, match=rf"test_habits.* starts `.*` and needs @pytest\.mark\.{marker}"):
        subprocess.Popen(line.split())
    subprocess.run([sys.executable, "-c", f"# {line}"], check=True)  # whose name stands in another command
