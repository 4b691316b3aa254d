"""What a module file says about a command's text: cut it into records, make samples of their fields."""
