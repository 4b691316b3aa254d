"""Documentation, and the pages of it that follow from the code."""
