"""The models, one file each, found by looking at this folder: a module with a line `MODEL = …` is a model.

Listing and describing them loads neither Keras nor scikit-learn; building or fitting one does.
"""

import re
from importlib import import_module
from importlib.resources import files

from timnet.errors import ConfigError
from timnet.models.base import Model

_HAS_MODEL = re.compile(r"^MODEL\b", re.MULTILINE)


def names() -> list[str]:
    """Names of the models, sorted; a file's name with dashes for underscores."""
    modules = (file for file in files(__name__).iterdir() if file.name.endswith(".py"))
    return sorted(file.name[:-3].replace("_", "-") for file in modules if _HAS_MODEL.search(file.read_text("utf-8")))


def get(name: str) -> Model:
    """The model of that name; raises ConfigError naming those that there are."""
    if name not in names():
        raise ConfigError(f"There is no model {name!r}; allowed are {', '.join(names())}.")
    return import_module(f"{__name__}.{name.replace('-', '_')}").MODEL
