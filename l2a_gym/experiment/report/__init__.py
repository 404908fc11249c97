"""From rows to numbers to a page."""
