"""The command `sentinel`: a file per group of commands, no logic of its own."""
