"""What all parts share: warnings, checks of parameters, display, scikit-learn's private parts."""
