"""Why a network says what it says, and what its layers see: arrays first, then pictures.

On any `nn.Module`: maps of evidence (Grad-CAM and others), feature maps, filters, the pictures a
channel answers to; and in figures what convolutions are for.
"""

from collections.abc import Callable

from stroma.explain.attribution import integrated_gradients, occlusion
from stroma.explain.cam import gradcam, gradcam_plus_plus, hires_cam
from stroma.explain.convolution import (
    ParameterCounts,
    ShiftRow,
    parameter_counts,
    shift_response,
)
from stroma.explain.explanation import Explanation
from stroma.explain.features import (
    FeatureMaps,
    Filters,
    TopImages,
    feature_maps,
    filters,
    top_images,
)
from stroma.explain.maximise import Maximised, maximise_activation
from stroma.explain.probes import Probe, linear_probes, shuffled
from stroma.explain.receptive import ReceptiveField, receptive_field_on

__all__ = [
    "gradcam", "gradcam_plus_plus", "hires_cam", "integrated_gradients", "occlusion",
    "Explanation", "METHODS",
    "feature_maps", "FeatureMaps", "filters", "Filters", "top_images", "TopImages",
    "maximise_activation", "Maximised", "receptive_field_on", "ReceptiveField",
    "parameter_counts", "ParameterCounts", "shift_response", "ShiftRow",
    "linear_probes", "Probe", "shuffled",
]  # fmt: skip

# What the command line offers by name; "gradcam" is the default.
METHODS: dict[str, Callable[..., Explanation]] = {
    "gradcam": gradcam,
    "gradcam_plus_plus": gradcam_plus_plus,
    "hires_cam": hires_cam,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}
