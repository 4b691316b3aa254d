"""Linux servers over SSH: one connection and one shell per host, read as node_exporter would read itself."""
