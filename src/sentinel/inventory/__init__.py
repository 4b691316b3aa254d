"""Targets and their sources."""
