"""Looking for devices: who answers SNMP in a network, and which modules fit."""
