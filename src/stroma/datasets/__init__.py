"""Known data sets. `load_data()` is the asking: it fetches a file once, and checks its hash.

Files lie where Keras has them, `$KERAS_HOME/datasets` or `~/.keras/datasets`, so that what one of
both has fetched, the other need not.
"""

from stroma.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb",
    "mnist", "reuters",
]  # fmt: skip
