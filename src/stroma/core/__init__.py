"""Floor 0: what every room stands on. Layers, symbolic tensors, names, checks, errors."""
