"""Sanity checks from the literature, on a network that has learnt digits on canvases.

Adebayo et al. 2018: a map that stays when the weights are shuffled explains nothing. And a map
must land on the object that was planted.
"""

from itertools import pairwise

import numpy as np
import pytest
from canvases import DIGIT, SIDE, canvases, trained, trained_on_averages
from scipy.stats import spearmanr

from stroma.explain import (
    METHODS,
    gradcam,
    hires_cam,
    integrated_gradients,
    linear_probes,
    occlusion,
    shift_response,
    shuffled,
    top_images,
)

COUNT = 20
BOX = DIGIT**2 / SIDE**2  # the share of a canvas that its digit covers: 16 %


@pytest.fixture(scope="module")
def pictures():
    return canvases(COUNT, seed=2)


def mean_share(method, model, pictures, digit=DIGIT, **options):
    images, _, corners = pictures
    shares = [
        method(model, image, **options).share_in(*corner, digit, digit)
        for image, corner in zip(images, corners)
    ]
    return np.nanmean(shares)


def test_the_network_has_learnt(pictures):
    images, labels, _ = pictures
    assert (trained().predict(images, verbose=0).argmax(1) == labels).mean() >= 0.9


def test_maps_land_on_the_planted_object(pictures):
    model = trained()
    assert mean_share(hires_cam, model, pictures) >= 0.8
    assert mean_share(integrated_gradients, model, pictures, steps=16) >= 0.8
    # Grad-CAM weights whole channels: under a maximum, which follows single places, it spills
    assert mean_share(gradcam, model, pictures) >= 3 * BOX


def test_grad_cam_lands_on_the_planted_object_where_maps_are_averaged():
    model, small = trained_on_averages(), canvases(60, seed=2, side=16, digit=8)
    images, labels, corners = small
    assert (model.predict(images, verbose=0).argmax(1) == labels).mean() >= 0.9
    assert mean_share(gradcam, model, small, digit=8) >= 0.8  # the box is a quarter of the canvas
    elsewhere = images, labels, (corners + 4) % 9
    assert mean_share(gradcam, model, elsewhere, digit=8) < 0.5


def test_a_map_of_the_wrong_place_is_caught(pictures):
    images, labels, corners = pictures
    elsewhere = images, labels, (corners + SIDE // 2) % (SIDE - DIGIT)
    assert mean_share(hires_cam, trained(), elsewhere) < 0.5


def test_occlusion_lands_on_the_planted_object(pictures):
    few = tuple(part[:4] for part in pictures)
    assert mean_share(occlusion, trained(), few, patch=5) >= 0.6


def correlation_when_shuffled(method, pictures):
    """Mean Spearman correlation of the map with that of the shuffled network."""
    model, other = trained(), shuffled(trained(), seed=5)
    found = [
        spearmanr(method(model, image, int(label)), method(other, image, int(label)), axis=None)[0]
        for image, label in zip(*pictures[:2])
    ]
    return np.nanmean(found)


# With their signs: the absolute values of integrated gradients follow the picture's own (x - b)
# whatever the weights are (.77 here), which Adebayo et al. found too.
@pytest.mark.parametrize(
    ("name", "options"),
    [("gradcam", {}), ("gradcam_plus_plus", {}), ("hires_cam", {}),
     ("integrated_gradients", {"steps": 16})],
)  # fmt: skip
def test_shuffled_weights_change_the_map(name, options, pictures):
    def method(model, image, label):
        return METHODS[name](model, image, label, **options).map

    assert correlation_when_shuffled(method, pictures) < 0.5


def test_a_map_that_ignores_the_network_is_caught(pictures):
    """The planted mistake: edges look like an explanation, and never change."""

    def edges(model, image, label):
        return np.abs(np.diff(image[..., 0], axis=0))

    assert correlation_when_shuffled(edges, pictures) == pytest.approx(1)


def test_shuffling_the_head_alone_changes_the_map(pictures):
    other = shuffled(trained(), ["head"])
    image, label = pictures[0][0], int(pictures[1][0])
    ours, theirs = gradcam(trained(), image, label).map, gradcam(other, image, label).map
    assert not np.allclose(ours, theirs)
    assert (other.conv0.weight == trained().conv0.weight).all()


def test_probes_rise_with_depth_and_beat_shuffled_weights():
    images, labels, _ = canvases(500, seed=3)
    paths = ["shrink", "relu0", "relu1", "relu2", "pool"]
    probes = linear_probes(trained(), images, labels, paths, grid=1)
    assert [probe.layer for probe in probes] == paths
    assert [probe.features for probe in probes] == [1, 16, 32, 48, 48]
    accuracies = [probe.accuracy for probe in probes]
    assert accuracies[-1] >= 0.9 and accuracies[0] <= 0.3
    assert accuracies[-1] - probes[-1].shuffled >= 0.2
    assert all(later >= earlier - 0.05 for earlier, later in pairwise(accuracies))


def test_pooling_adds_invariance():
    """Maps move along and change by as much as another picture; after pooling they stay."""
    images, _, _ = canvases(16, seed=4)
    rows = {row.layer: row for row in shift_response(trained(), images, shift=4)}
    assert rows["relu2"].stride == 2
    assert rows["relu2"].change > 0.8 and rows["pool"].change < 0.3
    assert rows["relu2"].error_inside < 0.05


def test_top_images_of_a_class_unit_show_that_class():
    images, labels, _ = canvases(120, seed=6)
    found = top_images(trained(), images, "head", 7, count=5)
    assert (labels[found.indices] == 7).all()
