"""Fuzzing: targets that any fuzzer can drive, a small corpus, and a runner for Atheris."""
