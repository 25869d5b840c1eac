"""The Twisted shell: protocols, factories, services, listeners and logins."""
