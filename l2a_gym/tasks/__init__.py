"""What there is to learn: domains, splits, labels and budgets."""
