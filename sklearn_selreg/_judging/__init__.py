"""Which slates a judge is asked about, and what its answers amount to."""
