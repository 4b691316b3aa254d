"""What the web asks of the rooms below it: small protocols, wired by the daemon into one `Faces`."""
