"""Incidents: correlation, grade, lifecycle, timeline; one transaction per rule tick."""
