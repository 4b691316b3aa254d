"""Charts in messages: what an alert's expression read around the moment, as a picture."""
