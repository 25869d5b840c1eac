"""Packets <-> messages: chapter 4 of the specification, for both roles. Knows neither broker nor transport."""
