"""Many selectors on many tasks at equal budgets: rows, statistics, report, replay."""
