"""A pickled array, read without running anything that its file says.

A pickle can run any program when it is loaded, and `np.load(allow_pickle=True)` lets it. Here the instructions are
looked through first, numpy's three names become records that do nothing, and arrays are made from these
records only after every size in them has been checked.
"""

import io
import pickle
import pickletools
from typing import Any

import numpy as np

MAX_INSTRUCTIONS = 1_000  # a published file has about 100

# The names that numpy's array pickles ask for, as numpy 1 and numpy 2 spell them.
NAMES = {
    "numpy.core.multiarray._reconstruct": "_reconstruct",
    "numpy._core.multiarray._reconstruct": "_reconstruct",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
}
# The instructions that these pickles consist of, in the protocols 3 and 4. None of them runs anything by itself.
# fmt: off
INSTRUCTIONS = frozenset((
    "PROTO", "FRAME", "STOP", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
    "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "MARK",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2",
    "BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
))
# fmt: on


class RefusedError(Exception):
    """What a file holds and should not."""


class _Call:
    """What a name was called with, and the state given to the result: kept, never carried out."""

    def __init__(self, name: str, arguments: tuple[Any, ...]):
        self.name, self.arguments, self.state = name, arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """Stands for one of NAMES. An object, no class or function: a pickle can make or change nothing through it."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *arguments: Any) -> _Call:
        return _Call(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedError(f"its pickle wants to change numpy.{self.name}")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Name:
        if f"{module}.{name}" not in NAMES:
            raise RefusedError(
                f"its pickle asks for {short(f'{module}.{name}')}, which no array needs and which was not run"
            )
        return _Name(NAMES[f"{module}.{name}"])


def unpickled(data: bytes) -> Any:
    """The pickle behind the header as dicts, lists, tuples, numbers, text, bytes and _Call; raises RefusedError."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        raise RefusedError(f"it does not start as an .npy file does, but with {data[:6]!r}") from None
    if version != (1, 0):
        raise RefusedError(
            f"it has version {version[0]}.{version[1]} of the .npy format, and np.save writes a dict as 1.0"
        )
    try:
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # the header is evaluated as Python text, which fails in many ways
        raise RefusedError(f"its .npy header is broken ({type(error).__name__})") from None
    if dtype.kind != "O" or shape != ():
        raise RefusedError(f"it holds an array of {dtype} and shape {shape}, not a dict")
    start = file.tell()
    _look_through(file)
    if left := len(data) - file.tell():
        raise RefusedError(f"{left} bytes follow after its end")
    file.seek(start)
    try:
        return _Unpickler(file).load()
    except RefusedError:
        raise
    except Exception as error:  # a pickle can be broken in as many ways as there are exceptions
        raise RefusedError(f"its pickle is broken ({type(error).__name__})") from None


def _look_through(file: io.BytesIO) -> None:
    """Raises RefusedError at instructions that no array needs, and where unpickling would allocate beyond the file."""
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(file), start=1):
            if instruction.name not in INSTRUCTIONS:
                raise RefusedError(f"its pickle has the instruction {instruction.name}, which no array needs")
            # A place in the memo is memory for all places before it.
            far = instruction.name in {"BINPUT", "LONG_BINPUT"} and (argument or 0) > MAX_INSTRUCTIONS
            if count > MAX_INSTRUCTIONS or far:
                raise RefusedError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions or places for results")
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(f"its pickle is broken or cut off ({type(error).__name__})") from None


def parts(value: Any, name: str) -> tuple[tuple[Any, ...], tuple[str, ...], Any, Any]:
    """Shape, (type, byte order), whether in Fortran order, and data of an array as numpy pickles it."""
    state = value.state if isinstance(value, _Call) and value.name == "_reconstruct" else None
    if type(state) is not tuple or len(state) != 5 or type(state[1]) is not tuple:
        raise RefusedError(f"{name} is not an array")
    _, shape, dtype, fortran, data = state
    described = dtype.state if isinstance(dtype, _Call) and dtype.name == "dtype" else None
    if type(described) is not tuple or not all(type(part) is str for part in (*dtype.arguments[:1], *described[1:2])):
        raise RefusedError(f"the type of {name} is not described as numpy does it")
    return shape, (*dtype.arguments[:1], *described[1:2]), fortran, data


def short(text: str) -> str:
    """Text of a file that may hold anything, for a message."""
    return ascii(text[:80])
