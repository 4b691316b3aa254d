"""Settings tree, located errors and secrets."""
