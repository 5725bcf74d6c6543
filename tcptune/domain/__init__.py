"""The nouns: frozen values. No I/O, no clock."""
