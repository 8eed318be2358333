"""A trained model as a file that other programs read, checked against the model it was made of, with a model card.

done = export(resolve("emodb", store), "onnx", "emodb.onnx", store)
print(done.check.sentence)
"""

from timnet.export.examples import Examples, examples
from timnet.export.formats import FORMATS, Format
from timnet.export.write import Check, Exported, check_place, check_use, export

__all__ = ["FORMATS", "Check", "Examples", "Exported", "Format", "check_place", "check_use", "examples", "export"]
