"""Poll loops and the collectors they drive."""
