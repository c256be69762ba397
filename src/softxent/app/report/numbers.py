"""How the report writes numbers."""

from __future__ import annotations

import math


def significant(x: float, digits: int = 4) -> str:
    """Writes a number with `digits` significant digits.

    >>> significant(0.11834), significant(2.0), significant(1.5e-9), significant(12345678.0)
    ('0.1183', '2', '1.5 × 10⁻⁹', '12,345,678')
    >>> significant(-math.inf), significant(math.nan)
    ('−∞', '–')
    """
    if not math.isfinite(x):
        return "–" if math.isnan(x) else "∞" if x > 0 else "−∞"
    if x == 0 or 1e-4 <= abs(x) < 1e9:
        places = max(digits - 1 - math.floor(math.log10(abs(x))), 0) if x else 0
        text = f"{x:,.{places}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.rstrip('0').rstrip('.')} × 10{superscript}".replace("-", "−")


def percent(x: float, places: int = 1) -> str:
    """
    >>> percent(0.9694), percent(math.nan)
    ('96.9\xa0%', '–')
    """
    return f"{100 * x:.{places}f}\N{NO-BREAK SPACE}%" if math.isfinite(x) else significant(x)


def probability(x: float, sign: bool = False) -> str:
    """Writes a probability with four decimals, or two significant digits where those would show 0.

    >>> probability(0.98125), probability(3.2e-7), probability(-0.99871, sign=True), probability(0.0)
    ('0.9812', '3.2 × 10⁻⁷', '−0.9987', '0.0000')
    """
    if 0 < abs(x) < 5e-5:
        text = significant(abs(x), 2)
    else:
        text = f"{abs(x):.4f}"
    return ("−" if x < 0 else "+" if sign and x > 0 else "") + text
