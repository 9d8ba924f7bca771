"""What all parts share: warnings, checks of parameters, documentation links."""
