"""SNMP: the engine, module files and the walk that turns a device into a batch."""
