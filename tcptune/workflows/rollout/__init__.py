"""A plan reaches its hosts in waves, each watched before the next: begun, taken up again, or taken back."""
