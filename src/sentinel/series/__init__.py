"""The head: recent samples in columns, and their exposition."""
