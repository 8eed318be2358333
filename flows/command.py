"""From a command line to settings: defaults, then a config file, then TIMNET_ variables, then the options given.

Imports nothing heavy: `--help` and a wrong value answer before Prefect, Ray or an array library is loaded.
"""

import argparse
import json
import sys
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, NoReturn

from pydantic import AliasChoices, BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from timnet.config import RunSettings
from timnet.errors import ConfigError, TimnetError
from timnet.urls import without_secrets

WRONG_USE = 2  # the exit status of a wrong value


class Environment(BaseSettings):
    """The one place where environment variables are read: where a machine keeps its data, not what a run computes."""

    model_config = SettingsConfigDict(env_prefix="TIMNET_", extra="ignore")

    store: str | None = None
    data_root: str | None = None
    ray_address: str | None = None
    display: str | None = Field(None, validation_alias=AliasChoices("DISPLAY", "WAYLAND_DISPLAY"))  # where windows open


def has_display() -> bool:
    """Whether a browser can open a window here; on Linux that takes a display."""
    return sys.platform != "linux" or bool(Environment().display)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See --help.")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add --store to a command that has no other setting."""
    default = Environment().store or RunSettings.model_fields["store"].default
    parser.add_argument(
        "--store", default=default, metavar="URI", help=f"the store [default: {without_secrets(default)}]"
    )


def add_data_root(parser: argparse.ArgumentParser, text: str, required: bool = True) -> None:
    """Add --data-root to a command that has few other settings."""
    root = Environment().data_root
    parser.add_argument("--data-root", default=root, required=required and root is None, metavar="DIR", help=text)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which trained model is meant: what timnet.trained.resolve takes."""
    parser.add_argument(
        "--model",
        required=True,
        help="a run of the store, a file .npz, or released weights: a file .hdf5 or their folder",
    )
    add_store(parser)
    parser.add_argument(
        "--corpus", metavar="NAME", help="which corpus of the run, or what the weights were released for"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the folds of this seed alone [default: of all seeds]")
    parser.add_argument("--fold", type=int, metavar="N", help="this fold alone [default: the mean over all folds]")


def option(field: str) -> str:
    return "--" + field.replace("_", "-")


def parse(
    program: str,
    description: str,
    arguments: list[str],
    choices: dict[str, list[str]],
    model: type[BaseModel] = RunSettings,
) -> tuple[Any, argparse.Namespace]:
    """Settings of `model` and the options that are the command's own (local); raises ConfigError for a wrong value."""
    parser = Parser(
        prog=f"python -m {program}",
        description=description,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
    )
    parser.add_argument(
        "--local", action="store_true", help="run on this machine: its own Ray and Prefect's own temporary API"
    )
    parser.add_argument("--config", metavar="FILE", help="read options from a YAML, TOML or JSON file, named as here")
    for name, field in model.model_fields.items():
        flag = field.annotation is bool
        text = field.description or ""
        if name in choices:
            text += ": " + ", ".join(choices[name])
        if not flag and field.default is not None and not field.is_required():
            default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
            text += f" [default: {default}]"
        kind: dict[str, Any] = {"action": "store_true"} if flag else {"metavar": _metavar(name, field.annotation)}
        parser.add_argument(option(name), dest=name, default=argparse.SUPPRESS, help=text.replace("%", "%%"), **kind)
    given = vars(parser.parse_args(arguments))
    own = argparse.Namespace(local=given.pop("local"), config=given.pop("config"))
    if own.local:
        given.setdefault("ray_address", "local")
    layers = {**_file(own.config, model), **_environment(model), **given}
    try:
        return model(**layers), own
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from error


def _environment(model: type[BaseModel]) -> dict[str, Any]:
    found = Environment().model_dump()
    return {name: value for name, value in found.items() if value and name in model.model_fields}  # empty is unset


def located(settings: Any) -> Any:
    """The settings of a deployment's run, with the places that they leave open taken from this machine's variables.

    A worker knows where its data and its Ray are; who starts the run from afar need not. On the command line they were
    taken before, and nothing changes.
    """
    given = {name for name in settings.model_fields_set if getattr(settings, name) is not None}
    found = {name: value for name, value in _environment(type(settings)).items() if name not in given}
    return settings.model_copy(update=found)


def _metavar(name: str, annotation: Any) -> str:
    if name in ("data_root", "weights"):
        return "DIR"
    if name == "store":
        return "URI"
    if name == "ray_address":
        return "ADDRESS"
    if name.endswith("_table"):
        return "FILE"
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    kinds = typing.get_args(annotation) if is_union else (annotation,)
    if any(typing.get_origin(kind) is tuple for kind in kinds):
        return "A,B"
    return "N" if int in kinds or float in kinds else "NAME"


def _file(path: str | None, model: type[BaseModel]) -> dict[str, Any]:
    """The options in a config file; keys may be written with dashes or underscores."""
    if path is None:
        return {}
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path}: cannot be read ({error}).") from error
    try:
        values = _parse_text(file, text)
    except ValueError as error:
        raise ConfigError(f"--config {path}: is not the {file.suffix[1:].upper()} it says it is ({error}).") from error
    if values is None:  # a file of nothing but comments
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"--config {path}: expected options such as `epochs: 60`, received {type(values).__name__}.")
    named = {str(key).replace("-", "_"): value for key, value in values.items()}
    if len(named) < len(values):
        twice = sorted(name for name in named if sum(str(key).replace("-", "_") == name for key in values) > 1)
        raise ConfigError(f"--config {path}: gives {', '.join(twice)} twice, with a dash and with an underscore.")
    unknown = sorted(named.keys() - model.model_fields.keys())
    if unknown:
        allowed = ", ".join(model.model_fields)
        raise ConfigError(f"--config {path}: there is no option {', '.join(unknown)}; allowed are {allowed}.")
    return named


def _parse_text(file: Path, text: str) -> Any:
    match file.suffix.lower():
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            return json.loads(text)
        case ".yaml" | ".yml":
            import yaml

            try:
                return yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ValueError(" ".join(str(error).split())) from error
        case suffix:
            raise ConfigError(f"--config {file}: the kind {suffix!r} is unknown; allowed are .yaml, .toml and .json.")


def _one_line(error: ValidationError) -> str:
    parts: dict[str, str] = {}
    for detail in error.errors():
        name = option(str(detail["loc"][0]))
        if name in parts:  # a value that may be of two kinds has one complaint of each
            continue
        if detail["type"] == "missing":
            parts[name] = f"{name} is needed"
            continue
        what = detail["msg"].removeprefix("Value error, ")
        parts[name] = f"{name} {_shown(detail['input'])}: {what[:1].lower()}{what[1:]}"
    return "; ".join(parts.values()) + ". See --help."


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) or "(nothing)" if isinstance(value, (tuple, list)) else str(value)


def fail(error: TimnetError) -> NoReturn:
    """Print the error's text, which says what to do, and leave with the status of wrong use."""
    print(f"timnet: {without_secrets(error)}", file=sys.stderr)
    raise SystemExit(WRONG_USE)
