"""Use of fitted models: recommendation lists, explanations, folding in, and saved files."""
