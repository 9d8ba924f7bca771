"""Tables and ids in, matrices out; knows nothing of models."""
