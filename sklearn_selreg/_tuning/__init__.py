"""Finding settings by held-out interactions."""
