"""Makes the recogniser's weights (``python -m worker.training``): generator, warm start, training, export, scores."""
