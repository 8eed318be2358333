"""A checkpoint for tests that train."""

from typing import Any

import numpy as np


class Kept:
    """A checkpoint in memory; forgets nothing."""

    def __init__(self, arrays: dict[str, Any] | None = None):
        self.saved = [] if arrays is None else [arrays]

    def load(self):
        return self.saved[-1] if self.saved else None

    def save(self, arrays):
        self.saved.append({name: np.array(value) for name, value in arrays.items()})
