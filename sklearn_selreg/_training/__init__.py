"""From interactions and a judge's answers to a fitted model."""
