"""Pipeline, MaxNumBoundingBoxes, spectrograms: what the contract suite does not reach."""

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers

BYTES = torch.randint(0, 256, (6, 12, 15, 3), dtype=torch.uint8)


def test_pipeline_runs_as_in_keras_and_its_config_goes_both_ways():
    x = BYTES.float()
    ours = layers.Pipeline([layers.RandomBrightness((0.1, 0.1)), layers.Rescaling(0.5)])
    theirs = keras.layers.Pipeline(
        [keras.layers.RandomBrightness((0.1, 0.1)), keras.layers.Rescaling(0.5)]
    )
    for training in (True, False):
        expected = theirs(x.clone(), training=training)
        torch.testing.assert_close(ours(x, training=training), expected, rtol=0, atol=255e-5)
    loaded = keras.layers.Pipeline.from_config(ours.get_config())
    torch.testing.assert_close(loaded(x.clone(), training=True), ours(x), rtol=0, atol=255e-5)
    again = layers.Pipeline.from_config(theirs.get_config())
    assert torch.equal(again(x), ours(x))
    data = {"images": x, "labels": torch.eye(6)}
    both = layers.Pipeline([layers.RandomFlip(), layers.MixUp()])(data)
    assert both["labels"].shape == (6, 6)


def test_max_num_bounding_boxes_is_that_of_keras():
    boxes = {"boxes": torch.rand(2, 3, 4), "labels": torch.ones(2, 3)}
    for number in (2, 5):
        data = {"images": torch.zeros(2, 4, 4, 3), "bounding_boxes": boxes}
        ours = layers.MaxNumBoundingBoxes(number)(data)["bounding_boxes"]
        theirs = keras.layers.MaxNumBoundingBoxes(number, bounding_box_format="xyxy")(
            {**data, "bounding_boxes": dict(boxes)}
        )["bounding_boxes"]
        for key in boxes:
            assert torch.equal(ours[key], torch.as_tensor(np.asarray(theirs[key])))


@pytest.mark.parametrize("mode", ["log", "stft"])
def test_frequencies_on_an_axis_of_their_own(mode):
    x = torch.randn(2, 70, 3)
    settings = {"mode": mode, "frame_length": 16, "expand_dims": True, "padding": "same"}
    expected = keras.layers.STFTSpectrogram(**settings)(x)
    y = layers.STFTSpectrogram(**settings)(x)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)  # a log near 0 is large


def test_each_sound_has_its_own_loudest_place():
    loud, quiet = torch.randn(2, 400)
    layer = layers.MelSpectrogram(fft_length=64, num_mel_bins=8)
    both = layer(torch.stack([loud, quiet * 1e-6]))
    torch.testing.assert_close(both[1], layer(quiet * 1e-6))
