"""Where stroma is not Keras: the one table of differences that are meant, each with its reason.

A place is `room.name:aspect`. Aspects are "arguments", "output", "gradients" and "file" of
docs/keras-parity.md; "missing"; "without ARGUMENT"; and "example", for an example of a docstring.
Both sides may have stars.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Difference:
    reason: str
    places: tuple[str, ...]


DIFFERENCES = (
    Difference(
        "Adapters and quantization are transforms of rooms of their own, not arguments of layers "
        "and methods of models.",
        ("layers.*:without lora_rank", "layers.*:without lora_alpha",
         "layers.*:without gptq_unpacked_column_size", "layers.*:without quantization_config",
         "models.Model.quantize*:example"),
    ),
    Difference(
        "Options of every layer are given by keyword, so that a number in the wrong place cannot "
        "become a name.",
        ("layers.*:without name", "layers.*:without dtype"),
    ),
    Difference(
        "Names in files are looked up in closed tables; custom objects are registered or in a "
        "scope.",
        ("*:without custom_objects",),
    ),
    Difference(
        "Keras' class shows `*args`; the call is the same.",
        ("models.Model:arguments", "models.Sequential:arguments", "optimizers.Optimizer:arguments"),
    ),
    Difference(
        "What `fit` returns is a plain record of the run, not a callback that is attached.",
        ("callbacks.History:arguments",),
    ),
    Difference(
        "Keras calls a config a name there.", ("losses.deserialize:arguments",)
    ),
    Difference(
        "`weights=None`: nothing is fetched that nobody asked for.", ("applications.*:arguments",)
    ),
    Difference(
        "The function has the default of Keras' own class.",
        ("losses.categorical_generalized_cross_entropy:arguments",),
    ),
    Difference(
        "Losses of whole numbers are those of the same floats. Keras on torch computes them in "
        "whole numbers, where its floor of 1e-7 is 0: NaN, infinity, rounded halves.",
        tuple(f"{room}.{name}:output" for room in ("losses", "metrics") for name in
              ("huber", "log_cosh", "mean_absolute_percentage_error", "poisson")),
    ),
    Difference(
        "The point of the simplex that is nearest. Keras' does not sum to 1.",
        ("*.sparsemax:output",),
    ),
    Difference(
        "One-hot vectors are float32, as all other numbers; negative labels are refused.",
        ("utils.to_categorical:output", "utils.to_categorical:example"),
    ),
    Difference(
        "Layers of other frameworks cannot run on torch, and a SavedModel runs code.",
        ("layers.JaxLayer:missing", "layers.FlaxLayer:missing", "layers.TFSMLayer:missing",
         "callbacks.OrbaxCheckpoint:missing"),
    ),
    Difference(
        "`FeatureSpace` and audio folders need TensorFlow; `Config` is for Keras' own tools. "
        "Functions on files and graphs take layers and symbolic tensors, not numbers.",
        ("utils.FeatureSpace:missing", "utils.audio_dataset_from_directory:missing",
         "utils.Config:missing", "utils.get_source_inputs:output",
         "utils.serialize_keras_object:output"),
    ),
    Difference(
        "As in the paper and in Keras on JAX. Keras on torch changes its variables in place and "
        "averages the point that has moved already.",
        ("optimizers.ScheduleFreeAdamW:output",),
    ),
    Difference(
        "Loss scaling belongs to `precision=` of fit; one optimizer updates all weights.",
        ("optimizers.LossScaleOptimizer:missing", "optimizers.MultiOptimizer:missing",
         "optimizers.OptimizerMap:missing"),
    ),
    Difference(
        "Sums, products and means of whole numbers or truth values keep the dtype that holds them; "
        "Keras on torch goes through int8, or truncates what is a float.",
        ("ops.layer_normalization:output", "ops.rms_normalization:output", "ops.clip:output",
         "layers.Dot:example", "ops.heaviside:output", "ops.view:output",
         "ops.saturate_cast:output"),
    ),
    Difference(
        "Which of equal halves comes first is open.", ("ops.argpartition:output",)
    ),
    Difference(
        "Sizes come from running the layer, so more of them are known.",
        ("layers.EinsumDense:example",),
    ),
    Difference(
        "`update_state` returns nothing; Keras' returns its table by accident.",
        tuple(f"metrics.{name}:example" for name in
              ("BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU")),
    ),
    Difference(
        "A run that goes on knows the epochs before: its history is whole.",
        ("callbacks.BackupAndRestore:example",),
    ),
    Difference(
        "The mean is over the sum of the weights as they are broadcast; Keras on torch divides by "
        "the sum of those that were given.",
        ("ops.average:example",),
    ),
    Difference(
        "Functions of NumPy's float64 compute in float64 throughout; Keras' do or do not.",
        ("losses.hinge:example", "losses.squared_hinge:example",
         "losses.mean_squared_logarithmic_error:example"),
    ),
    Difference(
        "Keras on torch goes through floats; the docstring promises whole numbers.",
        ("ops.associative_scan:example",),
    ),
)  # fmt: skip


# Not as in Keras, with no reason that would excuse it: to be mended. Each line that is mended goes.
OPEN = (
    "layers.Equalization:file",
    "layers.ContrastLimitedAdaptiveHistogramEqualization#1:example",  # whole numbers
    *(f"layers.{name}#1:example" for name in (  # bounding boxes, segmentation masks
        "AugMix", "RandAugment", "RandomColorJitter", "RandomElasticTransform", "RandomErasing",
        "RandomFlip", "RandomGaussianBlur", "RandomInvert", "RandomPerspective", "RandomShear",
    )),
    "models.Model.get_state_tree#1:example",
    "ops.view_as_complex:example",
    "utils.split_dataset:example",
)  # fmt: skip


def meant(path: str, aspect: str) -> int | None:
    """The number of the difference that stands in the table for this, or None.

    Example:
        >>> meant("layers.Dense", "without lora_rank")
        1
    """
    for number, difference in enumerate(DIFFERENCES, 1):
        if any(fnmatchcase(f"{path}:{aspect}", place) for place in difference.places):
            return number
    return None
