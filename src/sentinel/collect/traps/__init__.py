"""Traps and informs: what devices say unasked. Who may send, what it means, and what follows from it."""
