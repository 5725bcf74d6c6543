"""Measured numbers as a person reads them."""

from __future__ import annotations


def spelled(value: float) -> str:
    """Return a number with three digits that count, and never with an exponent.

    >>> spelled(1234.5), spelled(1.25), spelled(0.0833), spelled(2.0), spelled(0.00004)
    ('1234', '1.25', '0.0833', '2', '0.00004')
    """
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 1:
        return f"{value:.3g}"
    digits = f"{value:.3g}"
    if "e" in digits:
        places = int(digits.partition("e")[2].lstrip("-")) + 2
        return f"{value:.{places}f}".rstrip("0")
    return digits
