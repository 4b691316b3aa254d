"""The head and the archive as they were at one moment, for queries."""
