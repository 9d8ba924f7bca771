"""Tuning of settings on held-out interactions."""
