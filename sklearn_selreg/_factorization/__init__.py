"""Matrices and weights in, factors out; knows nothing of judges."""
