"""Full-catalog ranking metrics by regime, and paired comparisons of two models."""

from ._baseline_table import compare_baselines
from ._comparison import compare_reports, users_needed
from ._report import RankingReport, ranking_report
from ._scorers import auc_scorer, ndcg_at_k_scorer, recall_at_k_scorer

__all__ = [
    "RankingReport",
    "auc_scorer",
    "compare_baselines",
    "compare_reports",
    "ndcg_at_k_scorer",
    "ranking_report",
    "recall_at_k_scorer",
    "users_needed",
]
