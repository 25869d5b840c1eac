"""Packets <-> messages: chapter 4 of the specification, for both roles; it knows no broker and no socket."""
