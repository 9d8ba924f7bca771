"""Full-catalog ranking metrics by regime, with intervals and comparisons of models."""

from ._baseline_comparison import compare_baselines
from ._bootstrap import report_intervals
from ._comparison import compare_reports
from ._list_scorers import (
    coverage_at_k_scorer,
    diversity_at_k_scorer,
    neg_gini_at_k_scorer,
    neg_popularity_lift_at_k_scorer,
    novelty_at_k_scorer,
)
from ._power import users_needed
from ._report import RankingReport, ranking_report
from ._scorers import (
    auc_scorer,
    hit_rate_at_k_scorer,
    map_at_k_scorer,
    mrr_at_k_scorer,
    ndcg_at_k_scorer,
    precision_at_k_scorer,
    recall_at_k_scorer,
)

__all__ = [
    "RankingReport",
    "auc_scorer",
    "compare_baselines",
    "compare_reports",
    "coverage_at_k_scorer",
    "diversity_at_k_scorer",
    "hit_rate_at_k_scorer",
    "map_at_k_scorer",
    "mrr_at_k_scorer",
    "ndcg_at_k_scorer",
    "neg_gini_at_k_scorer",
    "neg_popularity_lift_at_k_scorer",
    "novelty_at_k_scorer",
    "precision_at_k_scorer",
    "ranking_report",
    "recall_at_k_scorer",
    "report_intervals",
    "users_needed",
]
