"""What a correct broker may do: a second broker, small and slow, that only says what is right.

`messages` holds Application Messages and what becomes of each towards one session, `sessions` what the broker
remembers of a client and what it must send on a Network Connection, `world` all sessions, retained messages
and wills. `client` is a client that keeps to the specification, `strategies` has what it may say. `bench`
joins all with the real broker, and `machine` lets things happen to them.
"""
