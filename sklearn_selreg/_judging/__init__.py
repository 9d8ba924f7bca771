"""Selection of slates for a judge, and conversion of its answers to weighted preferences."""
