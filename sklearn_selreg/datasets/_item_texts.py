"""Descriptions of synthetic items and users, with words that reflect their factors."""

import numpy as np
import pandas as pd

_N_WORDS = 8  # per description

# Words for the two poles of each latent factor.
POLES = (
    ("calm quiet gentle", "wild loud fierce"),
    ("dark gloomy grim", "bright sunny radiant"),
    ("classic vintage historic", "modern futuristic novel"),
    ("funny witty silly", "serious solemn earnest"),
    ("short brief compact", "epic lengthy sprawling"),
    ("simple plain minimal", "ornate intricate lavish"),
    ("urban metropolitan industrial", "rural pastoral rustic"),
    ("romantic tender passionate", "detached cool ironic"),
    ("realistic factual documentary", "fantastic magical surreal"),
    ("fast rapid thrilling", "slow patient meditative"),
    ("sweet mild creamy", "bitter spicy sharp"),
    ("heroic noble brave", "cynical corrupt ruthless"),
    ("childlike playful naive", "mature adult worldly"),
    ("musical melodic lyrical", "silent sparse austere"),
    ("scientific logical technical", "mystical spiritual occult"),
    ("familiar cozy domestic", "exotic foreign remote"),
)


def describe(name, item_factors, informativeness, rng):
    """Generate item or user data that correlates with the factors.

    Parameters
    ----------
    name : str
        Name of the id column.
    item_factors : ndarray of shape (n_items, n_factors)
        Standard normal.
    informativeness : float
    rng : Generator

    Returns
    -------
    item_data : DataFrame of shape (n_items, 3)
    """
    n_items, n_factors = item_factors.shape
    noise = rng.standard_normal(item_factors.shape)
    shown = informativeness * item_factors + np.sqrt(1 - informativeness**2) * noise
    poles = np.concatenate([-shown, shown], axis=1)
    cumulated = np.cumsum(np.exp(1.5 * poles), axis=1)
    words = np.array([pole.split() for side in zip(*POLES, strict=True) for pole in side])
    words = np.concatenate([words[:n_factors], words[len(POLES) :][:n_factors]])
    text = np.empty((n_items, _N_WORDS), dtype=object)
    for position in range(_N_WORDS):
        pole = (rng.random((n_items, 1)) * cumulated[:, -1:] > cumulated).sum(axis=1)
        text[:, position] = words[pole, rng.integers(words.shape[1], size=n_items)]
    return pd.DataFrame(
        {
            name: np.arange(n_items),
            "description": [" ".join(row) for row in text],
            "kind": words[poles.argmax(axis=1), 0].astype(object),
        }
    )
