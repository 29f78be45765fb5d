"""Small helpers under Keras' names."""

from stroma.core.seeds import set_random_seed
from stroma.utils.labels import normalize, to_categorical

__all__ = ["normalize", "set_random_seed", "to_categorical"]
