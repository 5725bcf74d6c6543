"""Foreign bytes: whatever a host, a log, a capture or a file says, it is understood or refused in our own words.

FUZZED in test_targets.py names every reader of foreign bytes and the test that fuzzes it. A run tries a few examples
of each, so that all of them take less than a minute; `TCPTUNE_FUZZ=5000 pytest tests/fuzz` tries 5000.
"""
