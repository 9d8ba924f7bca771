"""The gate: where a judge can be trusted, and how far; knows tables of evidence only."""

from ._reliability_gate import ReliabilityGate as ReliabilityGate
