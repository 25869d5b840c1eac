"""The client's half of MQTT, without a socket: what it sends, what it answers, and what it remembers."""
