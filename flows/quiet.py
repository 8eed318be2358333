"""Keras without what its backend has to say about a machine that has no GPU. Imports nothing that takes time."""

import os

from flows import stopping


def import_keras() -> None:
    """Import Keras and its backend; what fails is still raised.

    TensorFlow greets on the standard error of the process before it looks at any setting.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # an error to it is that no GPU is there
    with stopping.quiet():
        import keras  # noqa: F401
