"""The tests of the codec; `tests.wire.vectors` is the table of packets that other tests feed from, too."""
