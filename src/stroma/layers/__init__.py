"""Layers: Keras' names, arguments and numbers; each a real `torch.nn.Module`."""

from typing import Any as _Any

from stroma.core.errors import did_you_mean as _did_you_mean
from stroma.core.input_spec import InputSpec
from stroma.core.inputs import Input, InputLayer
from stroma.core.layer import Layer
from stroma.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from stroma.layers.attention import AdditiveAttention, Attention
from stroma.layers.augmentation import (
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from stroma.layers.boxes import MaxNumBoundingBoxes
from stroma.layers.categories import CategoryEncoding, Discretization
from stroma.layers.colour import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomSaturation,
)
from stroma.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from stroma.layers.convnext import ConvNeXtBlock
from stroma.layers.convolution import Conv1D, Conv2D, Conv3D
from stroma.layers.deforming import (
    CenterCrop,
    RandomElasticTransform,
    RandomPerspective,
    RandomShear,
)
from stroma.layers.dense import Dense
from stroma.layers.depthwise import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from stroma.layers.dot import Dot, dot
from stroma.layers.einsum import EinsumDense
from stroma.layers.embedding import Embedding, ReversibleEmbedding
from stroma.layers.erasing import RandomErasing
from stroma.layers.global_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from stroma.layers.hashing import HashedCrossing, Hashing
from stroma.layers.lambdas import Lambda
from stroma.layers.lookup import IntegerLookup, StringLookup
from stroma.layers.masking import Identity, Masking
from stroma.layers.merging import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    maximum,
    minimum,
    multiply,
    subtract,
)
from stroma.layers.mixing import CutMix, MixUp
from stroma.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from stroma.layers.noise import AlphaDropout, GaussianDropout, GaussianNoise
from stroma.layers.normalization import BatchNormalization, LayerNormalization
from stroma.layers.pipeline import Pipeline
from stroma.layers.policies import AugMix, RandAugment
from stroma.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from stroma.layers.preprocessing import Normalization, Rescaling, Resizing
from stroma.layers.recurrent import RNN, StackedRNNCells
from stroma.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from stroma.layers.recurrent_units import GRU, LSTM, SimpleRNN
from stroma.layers.regularization import (
    ActivityRegularization,
    Dropout,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
    StochasticDepth,
)
from stroma.layers.resampling import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from stroma.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from stroma.layers.sample_normalization import (
    GroupNormalization,
    RMSNormalization,
    UnitNormalization,
)
from stroma.layers.scaling import CustomScaleLayer, LayerScale
from stroma.layers.serialization import deserialize, serialize
from stroma.layers.sharpness import RandomGaussianBlur, RandomSharpness
from stroma.layers.spectral import SpectralNormalization
from stroma.layers.spectrograms import MelSpectrogram, STFTSpectrogram
from stroma.layers.text import TextVectorization
from stroma.layers.tones import (
    AutoContrast,
    ContrastLimitedAdaptiveHistogramEqualization,
    Equalization,
    RandomPosterization,
    Solarization,
)
from stroma.layers.torch_module import TorchModuleWrapper
from stroma.layers.transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from stroma.layers.wrappers import Bidirectional, TimeDistributed
from stroma.layers.wrapping import Wrapper

# Keras' shorter names
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalAvgPool1D = GlobalMaxPooling1D, GlobalAveragePooling1D
GlobalMaxPool2D, GlobalAvgPool2D = GlobalMaxPooling2D, GlobalAveragePooling2D
GlobalMaxPool3D, GlobalAvgPool3D = GlobalMaxPooling3D, GlobalAveragePooling3D

__all__ = [
    "Layer", "Input", "InputLayer", "InputSpec",
    "Wrapper", "Identity", "Masking",
    "Dense", "EinsumDense",
    "Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D",
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
    "Convolution1DTranspose", "Convolution2DTranspose", "Convolution3DTranspose",
    "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
    "SeparableConvolution1D", "SeparableConvolution2D", "ConvNeXtBlock",
    "MaxPooling1D", "MaxPool1D", "AveragePooling1D", "AvgPool1D",
    "MaxPooling2D", "MaxPool2D", "AveragePooling2D", "AvgPool2D",
    "MaxPooling3D", "MaxPool3D", "AveragePooling3D", "AvgPool3D",
    "GlobalMaxPooling1D", "GlobalMaxPool1D", "GlobalAveragePooling1D", "GlobalAvgPool1D",
    "GlobalMaxPooling2D", "GlobalMaxPool2D", "GlobalAveragePooling2D", "GlobalAvgPool2D",
    "GlobalMaxPooling3D", "GlobalMaxPool3D", "GlobalAveragePooling3D", "GlobalAvgPool3D",
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
    "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D",
    "Flatten", "Reshape", "Permute", "RepeatVector", "TorchModuleWrapper", "Lambda",
    "Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax",
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
    "UnitNormalization", "SpectralNormalization",
    "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization",
    "Dot", "dot", "serialize", "deserialize",
    "CustomScaleLayer", "LayerScale",
    "Dropout", "StochasticDepth", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "SimpleRNN", "LSTM", "GRU", "RNN", "SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells",
    "Bidirectional", "TimeDistributed", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
    "Rescaling", "Normalization", "Resizing",
    "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
    "CenterCrop", "RandomShear", "RandomPerspective", "RandomElasticTransform",
    "RandomBrightness", "RandomContrast", "RandomSaturation", "RandomHue", "RandomGrayscale",
    "RandomColorDegeneration", "RandomColorJitter", "RandomInvert", "RandomPosterization",
    "AutoContrast", "Equalization", "ContrastLimitedAdaptiveHistogramEqualization",
    "Solarization", "RandomSharpness", "RandomGaussianBlur", "RandomErasing",
    "MixUp", "CutMix", "RandAugment", "AugMix", "Pipeline", "MaxNumBoundingBoxes",
    "MelSpectrogram", "STFTSpectrogram",
    "Embedding", "ReversibleEmbedding",
    "TextVectorization", "StringLookup", "IntegerLookup", "CategoryEncoding", "Hashing",
    "HashedCrossing", "Discretization",
    "MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate",
    "add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate",
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    meant = "" if name.startswith("_") else _did_you_mean(name, __all__)
    raise AttributeError(f"module 'stroma.layers' has no attribute {name!r}.{meant}")
