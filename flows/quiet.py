"""Keras without what its backend has to say about a machine that has no GPU. Imports nothing that takes time."""

import os


def import_keras() -> None:
    """Import Keras and its backend; what fails is still raised.

    TensorFlow greets on the standard error of the process before it looks at any setting, hence the redirection.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # an error to it is that no GPU is there
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
