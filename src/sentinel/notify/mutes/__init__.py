"""Silences and maintenance windows: what people do not want to be told, until when, and why."""
