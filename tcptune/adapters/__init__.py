"""All I/O. Each module implements one port or reads and writes one kind of file."""
