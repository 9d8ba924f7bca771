"""Matrix factorization: from matrices and weights to factors, independent of any judge."""
