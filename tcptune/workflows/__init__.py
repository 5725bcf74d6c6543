"""One module per command: collect, decide, act, record. No `if` about TCP."""
