"""A trained model with all that predicting needs: from a run of a store, from a file, or as published.

trained = resolve("emodb", Store("timnet-store"))
save(trained, "emodb.npz")
"""

from timnet.trained.base import Heard, Trained, TrainedFold
from timnet.trained.given import published
from timnet.trained.npz import of_file, save
from timnet.trained.resolve import resolve
from timnet.trained.run import of_run
from timnet.trained.words import about, notes

__all__ = ["Heard", "Trained", "TrainedFold", "about", "notes", "of_file", "of_run", "published", "resolve", "save"]
