"""Which series there are: labels as codes, and from matchers to columns."""
