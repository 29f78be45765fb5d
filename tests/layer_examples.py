"""Example configurations of every registered layer: what the contract suite runs.

A new layer needs a row here, else `test_every_layer_has_an_example` fails.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_parity import Apart, Whole

PICTURE = (9, 8, 4)
STEPS = (9, 4)
VOLUME = (5, 4, 6, 2)


class Example(NamedTuple):
    """One configuration.

    Args:
        arguments: What the constructor is given.
        shapes: Shapes of its inputs without the batch axis; one for most layers.
        keras: Whether Keras on torch has the same numbers (KERAS.md lists where it has not).
        open: Whether the spatial sizes may be unknown when it is recorded.
        differentiable: Whether finite differences see its gradients: no jumps, no tables.
    """

    arguments: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...] = (PICTURE,)
    keras: bool = True
    open: bool = True
    differentiable: bool = True


TWO = (PICTURE, PICTURE)
SEQUENCE = (6, 3)

OURS = {  # layers that Keras has not, or not in its room of layers
    "StochasticDepth", "ConvNeXtBlock", "CustomScaleLayer", "LayerScale",
}  # fmt: skip

# layers that take a step, or hold other layers: no arguments and inputs of their own to give here
WITHIN_OTHERS = {
    "SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells", "RNN",
    "Bidirectional", "TimeDistributed", "SpectralNormalization", "Pipeline",
}  # fmt: skip

# Layers of lists, texts and categories, which take no random numbers: test_text*.py and
# test_categories.py say what they promise.
PREPROCESSING = {"TextVectorization", "StringLookup", "IntegerLookup", "CategoryEncoding",
                 "Hashing", "HashedCrossing", "Discretization"}  # fmt: skip

EXAMPLES: dict[str, list[Example]] = {
    "Dense": [
        Example({"units": 3}, ((6,),)),
        Example({"units": 5, "activation": "relu", "use_bias": False}),
    ],
    "EinsumDense": [
        Example({"equation": "abc,cde->abde", "output_shape": (None, 4, 2)}, ((5, 6),)),
        Example({"equation": "...x,xy->...y", "output_shape": 3, "bias_axes": "y"}),
        Example({"equation": "ab...,bc->ac...", "output_shape": 3, "bias_axes": "c"}, open=False),
    ],
    "Conv1D": [
        Example({"filters": 6, "kernel_size": 3}, (STEPS,)),
        Example({"filters": 6, "kernel_size": 3, "padding": "causal", "strides": 2}, (STEPS,)),
        Example({"filters": 6, "kernel_size": 2, "dilation_rate": 2, "groups": 2}, (STEPS,)),
        Example(
            {"filters": 2, "kernel_size": 3, "data_format": "channels_first"},
            (STEPS,),
            open=False,
        ),
    ],
    "Conv3D": [
        Example({"filters": 6, "kernel_size": 2, "padding": "same", "strides": 2}, (VOLUME,)),
        Example({"filters": 2, "kernel_size": (1, 2, 3), "groups": 2}, (VOLUME,)),
    ],
    "Conv1DTranspose": [
        Example({"filters": 6, "kernel_size": 3}, (STEPS,)),
        Example({"filters": 6, "kernel_size": 3, "padding": "same", "strides": 2}, (STEPS,)),
    ],
    "Conv2DTranspose": [
        Example({"filters": 6, "kernel_size": 3, "activation": "tanh"}),
        Example({"filters": 6, "kernel_size": (3, 4), "padding": "same", "strides": 2}),
        Example({"filters": 6, "kernel_size": 2, "strides": 3, "output_padding": (0, 1)}),
        Example({"filters": 2, "kernel_size": 3, "data_format": "channels_first"}, open=False),
    ],
    "Conv3DTranspose": [
        Example({"filters": 3, "kernel_size": 2, "padding": "same", "strides": 2}, (VOLUME,)),
        Example({"filters": 3, "kernel_size": (1, 2, 3), "use_bias": False}, (VOLUME,)),
    ],
    "Conv2D": [
        Example({"filters": 6, "kernel_size": 3}),
        Example({"filters": 6, "kernel_size": 3, "padding": "same", "activation": "tanh"}),
        Example({"filters": 6, "kernel_size": (3, 2), "strides": 2, "padding": "same"}),
        Example({"filters": 6, "kernel_size": 2, "dilation_rate": (2, 3), "groups": 2}),
        Example({"filters": 2, "kernel_size": 3, "data_format": "channels_first"}, open=False),
    ],
    "DepthwiseConv1D": [
        Example({"kernel_size": 3}, (STEPS,)),
        Example({"kernel_size": 3, "padding": "same", "depth_multiplier": 2}, (STEPS,)),
    ],
    "SeparableConv1D": [
        Example({"filters": 6, "kernel_size": 3, "padding": "same", "strides": 2}, (STEPS,)),
    ],
    "DepthwiseConv2D": [
        Example({"kernel_size": 3}),
        Example({"kernel_size": (3, 2), "strides": 2, "padding": "same", "depth_multiplier": 2}),
        Example({"kernel_size": 2, "dilation_rate": 2, "use_bias": False, "activation": "relu6"}),
        Example({"kernel_size": 3, "data_format": "channels_first"}, open=False),
    ],
    "SeparableConv2D": [
        Example({"filters": 6, "kernel_size": 3, "padding": "same", "activation": "tanh"}),
        Example({"filters": 6, "kernel_size": 3, "strides": 2, "depth_multiplier": 2}),
        Example({"filters": 3, "kernel_size": 3, "data_format": "channels_first"}, open=False),
    ],
    "ConvNeXtBlock": [Example({"layer_scale": 0.5, "drop_rate": 0.2}, keras=False)],
    "MaxPooling1D": [
        Example({}, (STEPS,)),
        Example({"pool_size": 3, "strides": 2, "padding": "same"}, (STEPS,)),
    ],
    "MaxPooling3D": [
        Example({}, (VOLUME,)),
        Example({"pool_size": 3, "padding": 1}, (VOLUME,), keras=False),
    ],
    "AveragePooling1D": [
        Example({"pool_size": 2}, (STEPS,)),
        Example({"pool_size": 3, "strides": 2, "padding": "same"}, (STEPS,), keras=False),
    ],
    "AveragePooling3D": [
        Example({"pool_size": 2}, (VOLUME,)),
        Example({"pool_size": 2, "strides": 1, "padding": "same"}, (VOLUME,), keras=False),
    ],
    "GlobalMaxPooling1D": [Example({}, (STEPS,))],
    "GlobalMaxPooling3D": [Example({}, (VOLUME,))],
    "GlobalAveragePooling1D": [
        Example({}, (STEPS,)),
        Example({"keepdims": True, "data_format": "channels_first"}, (STEPS,), open=False),
    ],
    "GlobalAveragePooling3D": [Example({"keepdims": True}, (VOLUME,))],
    "AdaptiveAveragePooling1D": [Example({"output_size": 4}, (STEPS,))],
    "AdaptiveAveragePooling3D": [Example({"output_size": (2, 3, 4)}, (VOLUME,))],
    "AdaptiveMaxPooling1D": [Example({"output_size": 4}, (STEPS,))],
    "AdaptiveMaxPooling2D": [
        Example({"output_size": (4, 3)}),
        Example({"output_size": 2, "data_format": "channels_first"}, open=False),
    ],
    "AdaptiveMaxPooling3D": [Example({"output_size": 2}, (VOLUME,))],
    "UpSampling1D": [Example({"size": 3}, (STEPS,))],
    "UpSampling3D": [Example({"size": (2, 1, 3)}, (VOLUME,))],
    "ZeroPadding1D": [Example({"padding": (2, 0)}, (STEPS,)), Example({}, (STEPS,))],
    "ZeroPadding3D": [Example({"padding": ((1, 0), (2, 1), (0, 0))}, (VOLUME,))],
    "Cropping1D": [Example({"cropping": (2, 0)}, (STEPS,)), Example({}, (STEPS,))],
    "Cropping3D": [
        Example({"cropping": (1, 0, 2)}, (VOLUME,), keras=False),
        Example({"cropping": ((1, 0), (1, 1), (2, 1))}, (VOLUME,)),
    ],
    "MaxPooling2D": [
        Example({}),
        Example({"pool_size": 3, "strides": 2, "padding": "same"}),
        Example({"pool_size": 2, "strides": 1, "padding": "same"}),
    ],
    "AveragePooling2D": [
        Example({"pool_size": 2}),
        Example({"pool_size": 3, "strides": 2, "padding": "same"}, keras=False),
        Example({"pool_size": 2, "strides": 1, "padding": "same"}, keras=False),
    ],
    "GlobalMaxPooling2D": [Example({}), Example({"keepdims": True})],
    "GlobalAveragePooling2D": [
        Example({}),
        Example({"keepdims": True, "data_format": "channels_first"}, open=False),
    ],
    "AdaptiveAveragePooling2D": [
        Example({"output_size": (4, 3)}),
        Example({"output_size": 2, "data_format": "channels_first"}, open=False),
    ],
    "UpSampling2D": [
        Example({"size": (2, 3)}),
        Example({"interpolation": "bilinear"}),
        Example({"interpolation": "bicubic"}, keras=False),
        Example({"data_format": "channels_first"}, open=False),
    ],
    "ZeroPadding2D": [
        Example({}),
        Example({"padding": ((1, 0), (2, 3))}),
        Example({"padding": (0, 1), "data_format": "channels_first"}, open=False),
    ],
    "Cropping2D": [Example({}), Example({"cropping": ((1, 0), (2, 3))})],
    "Flatten": [
        Example({}),
        Example({"data_format": "channels_first"}, open=False),
        Example({}, ((),), open=False),
    ],
    "Reshape": [
        Example({"target_shape": (8, 36)}, open=False),
        Example({"target_shape": (4, -1, 3)}, open=False),
    ],
    "Permute": [Example({"dims": (3, 1, 2)}), Example({"dims": (2, 1)}, ((5, 6),))],
    "Identity": [Example({})],
    "Masking": [Example({}, ((5, 3),)), Example({"mask_value": 0.5})],
    "Activation": [Example({"activation": "gelu"}), Example({"activation": "softmax"})],
    "ReLU": [Example({}), Example({"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2})],
    "LeakyReLU": [Example({})],
    "ELU": [Example({}), Example({"alpha": 0.3})],
    "PReLU": [
        Example({"alpha_initializer": "ones"}, open=False),
        Example({"shared_axes": [1, 2]}),
    ],
    "RepeatVector": [Example({"n": 3}, ((4,),))],
    "Dot": [
        Example({"axes": 1}, ((5,), (5,))),
        Example({"axes": (2, 1)}, ((3, 5), (5, 4)), open=False),
        Example({"axes": -1, "normalize": True}, ((3, 5), (2, 5)), open=False),
    ],
    "GroupNormalization": [
        Example({"groups": 2}),
        Example({"groups": -1, "axis": 1, "center": False}, open=False),
    ],
    "RMSNormalization": [
        Example({"epsilon": 0.1}),
        Example({"axis": [1, 3]}, keras=False, open=False),
    ],
    "UnitNormalization": [Example({}), Example({"axis": [1, 2]})],
    "GaussianNoise": [Example({"stddev": 0.5})],
    "GaussianDropout": [Example({"rate": 0.5})],
    "AlphaDropout": [Example({"rate": 0.5})],
    "ActivityRegularization": [Example({"l1": 0.1, "l2": 0.2})],
    "Softmax": [Example({}), Example({"axis": (1, 2)}), Example({"axis": [1]})],
    "Add": [Example({}, TWO), Example({}, (PICTURE, (1, 1, 4), (4,)))],
    "Subtract": [Example({}, TWO)],
    "Multiply": [Example({}, TWO), Example({}, (PICTURE, (1, 1, 4)))],
    "Average": [Example({}, (*TWO, PICTURE))],
    "Maximum": [Example({}, TWO)],
    "Minimum": [Example({}, (*TWO, PICTURE))],
    "Concatenate": [Example({}, TWO), Example({"axis": 1}, ((2, 8, 4), (3, 8, 4)), open=False)],
    # normalisation, regularisation
    "BatchNormalization": [Example({}), Example({"axis": 1, "scale": False}, open=False)],
    "LayerNormalization": [Example({}), Example({"epsilon": 0.1, "center": False}, ((6,),))],
    "Dropout": [Example({"rate": 0.5})],
    "StochasticDepth": [Example({"rate": 0.5}, keras=False)],
    "CustomScaleLayer": [Example({"scale": 0.3}, TWO, keras=False)],
    "LayerScale": [Example({"init_values": 0.5, "projection_dim": 4}, keras=False)],
    "SpatialDropout1D": [Example({"rate": 0.5}, ((7, 4),))],
    "SpatialDropout2D": [Example({"rate": 0.5})],
    "SpatialDropout3D": [Example({"rate": 0.5}, ((3, 4, 5, 2),))],
    # attention, embedding
    "MultiHeadAttention": [
        Example({"num_heads": 2, "key_dim": 3}, Apart([(5, 6), (7, 6)])),
        Example(
            {
                "num_heads": 2,
                "key_dim": 3,
                "value_dim": 4,
                "use_gate": True,
                "sliding_window": 3,
                "attention_axes": (1,),
                "use_bias": False,
            },
            Apart([(5, 2, 6), (4, 2, 6)]),
            open=False,
        ),
        Example(
            {"num_heads": 2, "key_dim": 3, "output_shape": 6, "dropout": 0.5},
            Apart([(5, 6), (7, 4), (7, 3)]),
        ),
    ],
    "GroupQueryAttention": [
        Example(
            {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, "use_gate": True},
            Apart([(5, 6), (7, 6)]),
        ),
    ],
    "Attention": [
        Example({"use_scale": True}, ((5, 6), (7, 6))),
        Example({"score_mode": "concat", "use_scale": True}, ((5, 6), (7, 4), (7, 6))),
    ],
    "AdditiveAttention": [
        Example({}, ((5, 6), (7, 6))),
        Example({"use_scale": False}, ((5, 6), (7, 6))),
    ],
    "Embedding": [
        Example({"input_dim": 7, "output_dim": 4}, (Whole((5,)),)),
        Example({"input_dim": 7, "output_dim": 4, "mask_zero": True}, (Whole((2, 3)),)),
    ],
    "ReversibleEmbedding": [
        Example({"input_dim": 7, "output_dim": 4, "mask_zero": True}, (Whole((5,)),)),
    ],
    # recurrent: the cells inside and the layers around have tests of their own (test_recurrent)
    "SimpleRNN": [
        Example({"units": 4}, (SEQUENCE,)),
        Example({"units": 4, "activation": "relu", "return_sequences": True}, (SEQUENCE,)),
    ],
    "LSTM": [
        Example({"units": 4}, (SEQUENCE,)),
        Example({"units": 4, "return_sequences": True, "use_bias": False}, (SEQUENCE,)),
        Example({"units": 4, "recurrent_activation": "hard_sigmoid"}, (SEQUENCE,)),
    ],
    "GRU": [
        Example({"units": 4, "return_sequences": True}, (SEQUENCE,)),
        Example({"units": 4, "reset_after": False, "go_backwards": True}, (SEQUENCE,)),
    ],
    "ConvLSTM1D": [Example({"filters": 2, "kernel_size": 3, "strides": 2}, ((4, 7, 3),))],
    "ConvLSTM2D": [
        Example({"filters": 2, "kernel_size": 3, "padding": "same"}, ((3, 6, 5, 3),)),
        Example(
            {
                "filters": 2,
                "kernel_size": (2, 3),
                "strides": (2, 1),
                "use_bias": False,
                "return_sequences": True,
                "data_format": "channels_first",
            },
            ((3, 3, 6, 5),),
        ),
        Example(
            {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "go_backwards": True},
            ((3, 6, 5, 3),),
        ),
    ],
    "ConvLSTM3D": [Example({"filters": 2, "kernel_size": 2}, ((2, 3, 4, 3, 2),))],
    # preprocessing, augmentation (at rest here: the contract is about inference)
    "Rescaling": [Example({"scale": 0.5, "offset": 1.0})],
    "Normalization": [Example({"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 4.0, 9.0, 16.0]})],
    "Resizing": [
        Example({"height": 6, "width": 12}),
        Example({"height": 18, "width": 16, "interpolation": "bicubic"}, keras=False),
    ],
    "RandomCrop": [Example({"height": 4, "width": 5}, keras=False)],
    "RandomFlip": [Example({"mode": "horizontal"})],
    "RandomRotation": [Example({"factor": 0.2})],
    "RandomZoom": [Example({"height_factor": 0.2})],
    "RandomTranslation": [Example({"height_factor": 0.2, "width_factor": 0.1})],
    "CenterCrop": [
        Example({"height": 4, "width": 5}),
        Example({"height": 10, "width": 5}),
        Example({"height": 4, "width": 3, "data_format": "channels_first"}, open=False),
    ],
    "RandomShear": [Example({"x_factor": (0.1, 0.2)})],
    "RandomPerspective": [Example({})],
    "RandomElasticTransform": [Example({"scale": 0.5, "fill_mode": "mirror"})],
    "RandomBrightness": [Example({"factor": 0.2})],
    "RandomContrast": [Example({"factor": 0.2})],
    "RandomSaturation": [Example({"factor": 0.2})],
    "RandomHue": [Example({"factor": 0.2})],
    "RandomGrayscale": [Example({"factor": 0.2})],
    "RandomColorDegeneration": [Example({"factor": 0.2})],
    "RandomColorJitter": [Example({"brightness_factor": 0.2, "hue_factor": (0.1, 0.2)})],
    "RandomInvert": [Example({"factor": (0.2, 0.3)})],
    "RandomPosterization": [Example({"factor": 4})],
    "AutoContrast": [Example({}), Example({"value_range": (-3, 3)})],
    "Equalization": [Example({"bins": 64})],
    "ContrastLimitedAdaptiveHistogramEqualization": [
        Example(
            {"value_range": (-3, 3), "tile_grid_size": (2, 3)}, keras=False, differentiable=False
        ),
    ],
    "Solarization": [Example({"threshold_factor": 0.2})],
    "RandomSharpness": [Example({"factor": 0.2})],
    "RandomGaussianBlur": [Example({"sigma": 0.2})],
    "RandomErasing": [Example({"fill_value": (1.0, 2.0, 3.0, 4.0)})],
    "MixUp": [Example({"alpha": 0.5})],
    "CutMix": [Example({"factor": 0.5})],
    "RandAugment": [Example({"num_ops": 3})],
    "AugMix": [Example({"all_ops": False})],
    "MelSpectrogram": [
        Example({"fft_length": 64, "sequence_stride": 20, "num_mel_bins": 8}, ((300,),)),
        Example(
            {
                "fft_length": 64,
                "sequence_length": 50,
                "sequence_stride": 16,
                "num_mel_bins": 5,
                "window": "hamming",
                "sampling_rate": 8000,
                "min_freq": 100.0,
                "max_freq": 3000.0,
                "mag_exp": 1.0,
                "ref_power": 4.0,
            },
            ((200,),),
        ),
        Example({"fft_length": 64, "num_mel_bins": 8, "power_to_db": False}, ((300,),)),
    ],
    "STFTSpectrogram": [
        Example({"frame_length": 16, **more}, ((70, 2),))
        for more in (
            {},
            {"mode": "psd", "padding": "same"},
            {"mode": "stft", "frame_step": 5, "fft_length": 32, "scaling": "spectrum"},
            {"mode": "magnitude", "window": None},
            {"mode": "real", "periodic": True},
        )
    ]
    + [
        Example({"frame_length": 16, "mode": "angle"}, ((70, 2),), differentiable=False),
        Example({"frame_length": 16, "mode": "imag", "data_format": "channels_first"}, ((2, 70),)),
    ],
    "MaxNumBoundingBoxes": [Example({"max_number": 2})],
}
