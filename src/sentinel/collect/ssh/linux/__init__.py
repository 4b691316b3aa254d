"""Parsers of what Linux prints about itself: pure functions from text to samples, in node_exporter's names."""
