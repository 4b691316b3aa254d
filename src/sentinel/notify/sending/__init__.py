"""Messages on their way, apart from being sent: what became of them, and who is told in place of another."""
