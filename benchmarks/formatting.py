"""Formatting of numbers and tables for the documentation."""


def number(value, digits=4):
    """Format 0.0467 as .0467, and a missing value as -."""
    if value is None or value != value:
        return "-"
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def interval(cell, digits=4):
    """Format a difference and its interval as +.0012 [-.0003, +.0027]."""
    if cell is None or cell[0] != cell[0]:
        return "-"
    value, low, high = (f"{x:+.{digits}f}".replace("0.", ".", 1) for x in cell)
    return f"{value} [{low}, {high}]"


def table(columns, rows, left=1):
    """Format rows of strings as a Markdown table; the first `left` columns are left-aligned."""
    marks = ["---"] * left + ["--:"] * (len(columns) - left)
    lines = [columns, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
