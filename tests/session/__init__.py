"""The tests of chapter 4: flows, queues, and the half of a connection that both roles share; no sockets."""
