"""Reliability gate: models from a table of evidence where a judge can be trusted, and how far."""

from ._reliability_gate import ReliabilityGate as ReliabilityGate
