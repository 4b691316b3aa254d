"""The text of an expression: what is seen to before the parser gets it, and where its parts stand."""
