"""Messages -> subscribers: who gets what. Knows sessions and packets, but neither socket nor reactor."""
