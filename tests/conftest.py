"""What every test may ask for."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and reference data beside the checkout; the project's tests pass without it."""
    if not (SHARED / "corpora" / "EMODB" / "wav").is_dir():
        pytest.skip(f"the reference data are not here: {SHARED} has no corpora/EMODB/wav")
    return SHARED


@pytest.fixture(scope="session")
def trainer():
    """A Trainer of one thread; asked for before TensorFlow is used, since its threads cannot be changed afterwards."""
    from timnet.training import Trainer

    return Trainer(threads=1)
