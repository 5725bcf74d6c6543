"""Plan, apply, confirm and roll back the TCP settings of a Linux fleet."""

__version__ = "0.1.0"
