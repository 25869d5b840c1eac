"""What programs call of the client, the same for Twisted and for asyncio: neither is imported here."""
