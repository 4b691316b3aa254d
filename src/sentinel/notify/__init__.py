"""Routes, outbox, sender and receivers: from an incident change to a person."""
