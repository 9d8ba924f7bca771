"""All private names used by benchmarks that measure or replace parts of the package.

All other imports of the benchmarks are public (checked by `tests/test_architecture.py`).
"""

from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._data._item_features import encode_items
from sklearn_selreg._data._item_table import read_item_data
from sklearn_selreg._data._periods import PopularityOverTime
from sklearn_selreg._factorization._als import RegularizedALS
from sklearn_selreg._factorization._als_backbone import ALSBackbone
from sklearn_selreg._factorization._factors import popularity_bias, with_bias
from sklearn_selreg._factorization._feature_prior import FEATURE_RIDGE
from sklearn_selreg._factorization._half_sweep import HalfSweep
from sklearn_selreg._factorization._kernel import _gather as gather_rows
from sklearn_selreg._factorization._kernel import compiled
from sklearn_selreg._factorization._make import BACKBONES
from sklearn_selreg._factorization._preferences import PreferenceLoss
from sklearn_selreg._factorization._slate_terms import SlateTerms, pack_pairs
from sklearn_selreg._gate._evidence import CONTEXT, PRIOR
from sklearn_selreg._judging._asking import describe, gather, make_slates
from sklearn_selreg._judging._design import Standing
from sklearn_selreg._judging._recipe import Recipe
from sklearn_selreg._judging._sampler import ChosenSlates, sample_slates
from sklearn_selreg._judging._slates import compare_candidates, place_slates
from sklearn_selreg._judging._standing import rank_items
from sklearn_selreg._judging._stopping import FIRST_SLATES, early_accuracy
from sklearn_selreg.judges._positions import PositionBias
from sklearn_selreg.metrics._regimes import COLD_BELOW, REGIMES, TAIL_UP_TO

__all__ = [
    "BACKBONES",
    "COLD_BELOW",
    "CONTEXT",
    "FEATURE_RIDGE",
    "FIRST_SLATES",
    "PRIOR",
    "REGIMES",
    "TAIL_UP_TO",
    "ALSBackbone",
    "ChosenSlates",
    "HalfSweep",
    "PopularityOverTime",
    "PositionBias",
    "PreferenceLoss",
    "Recipe",
    "RegularizedALS",
    "SlateTerms",
    "Standing",
    "compare_candidates",
    "compiled",
    "describe",
    "early_accuracy",
    "encode_items",
    "gather",
    "gather_rows",
    "index_interactions",
    "make_slates",
    "pack_pairs",
    "place_slates",
    "popularity_bias",
    "rank_items",
    "read_item_data",
    "sample_slates",
    "with_bias",
]
