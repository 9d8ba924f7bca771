"""Conversion of tables and ids to matrices, independent of any model."""
