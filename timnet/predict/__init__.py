"""From recordings to emotions with a trained model.

recogniser = Recogniser(resolve("emodb", Store("timnet-store")))
for prediction in predict([Recording("a.wav", Path("a.wav").read_bytes())], recogniser):
    print(prediction.path, prediction.whole and prediction.whole.emotion)
"""

from timnet.predict.inputs import Input, find
from timnet.predict.place import place
from timnet.predict.recognise import Answer, Prediction, Recogniser, Recording, predict, window_hop_s
from timnet.predict.written import as_csv, as_json, as_table

__all__ = [
    "Answer",
    "Input",
    "Prediction",
    "Recogniser",
    "Recording",
    "as_csv",
    "as_json",
    "as_table",
    "find",
    "place",
    "predict",
    "window_hop_s",
]
