"""SNMP version 3 with the user-based security model (RFC 3412, RFC 3414, RFC 3826, RFC 7860)."""
