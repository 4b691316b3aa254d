"""The dead man's switch: outside services are called while the daemon does its work, and miss it when not."""
