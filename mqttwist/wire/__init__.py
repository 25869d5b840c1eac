"""Bytes <-> packets: chapters 1.5, 2 and 3 of the specification. Knows no session, no socket, no clock."""
