"""The store that survives the process: one SQLite file, written by a process of its own."""
