"""A fitted model in use: lists, explanations, files."""
