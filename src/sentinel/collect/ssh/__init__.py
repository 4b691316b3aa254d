"""SSH: one connection and one persistent shell per host, and the parsers of what it prints."""
