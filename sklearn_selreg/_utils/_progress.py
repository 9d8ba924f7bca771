"""The progress bar of long operations."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # In Jupyter without ipywidgets the bar is text; users need no advice to install them.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
