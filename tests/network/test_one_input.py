"""A network with one input takes the tensor and a list of it, however it was built, as in Keras."""

import numpy as np
import pytest
import torch

from stroma import Model, layers
from stroma.core.errors import ShapeError


@pytest.mark.parametrize("listed", [False, True])
def test_tensor_or_list_of_it(listed):
    entry = layers.Input((3,), name="entry")
    model = Model([entry] if listed else entry, layers.Dense(2)(entry))
    x = np.ones((4, 3), "float32")
    expected = model(x)
    for given in (torch.as_tensor(x), [torch.as_tensor(x)], {"entry": x}):
        assert torch.equal(model(given), expected)
    np.testing.assert_allclose(model.predict([x], verbose=0), expected.detach(), rtol=1e-6)
    nested = Model(entry, model(entry))  # a symbolic tensor as well
    assert torch.equal(nested(x), expected)
    with pytest.raises(ShapeError):
        model([torch.as_tensor(x)] * 2)
