"""Amounts of bytes and of time, as people write them.

Source: git-annex, data units (kB, MB ... are powers of 1000, KiB, MiB ... powers of 1024) and durations.
"""

from __future__ import annotations

import re

from annexd.errors import ConfigError

_STORAGE = (
    (10**24, "YB", "yottabyte"),
    (10**21, "ZB", "zettabyte"),
    (10**18, "EB", "exabyte"),
    (10**15, "PB", "petabyte"),
    (10**12, "TB", "terabyte"),
    (10**9, "GB", "gigabyte"),
    (10**6, "MB", "megabyte"),
    (10**3, "kB", "kilobyte"),
    (1, "B", "byte"),
)
_MEMORY = (
    (1 << 80, "YiB", "yobibyte"),
    (1 << 70, "ZiB", "zebibyte"),
    (1 << 60, "EiB", "exbibyte"),
    (1 << 50, "PiB", "pebibyte"),
    (1 << 40, "TiB", "tebibyte"),
    (1 << 30, "GiB", "gibibyte"),
    (1 << 20, "MiB", "mebibyte"),
    (1 << 10, "KiB", "kibibyte"),
)
_SIZES = {
    spelling: size
    for size, short, name in (*_STORAGE, *_MEMORY)
    for spelling in (short.lower(), name, name + "s", short.lower().removesuffix("b"))
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(?:\d{1,9}[smhdy])+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)([smhdy])", re.ASCII)
_GRAMMAR = re.compile(r"\s*(\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?)\s*([A-Za-z]*)\s*", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes in e.g. "1.5 gb", "100KiB", "20 kilobytes", "42". Raises ConfigError."""
    found = _GRAMMAR.fullmatch(text)
    size = _SIZES.get(found[2].lower()) if found else None
    if found is None or size is None:
        raise ConfigError(f"{text!r} is not a size", hint="sizes look like 42, 100kb, 1.5GiB or 20 megabytes")
    if found[1].isdigit():
        return int(found[1]) * size
    return round(float(found[1]) * size)


def parse_duration(text: str) -> int:
    """Seconds in e.g. "30s", "1h5m", "2d". Raises ConfigError."""
    word = text.strip()
    if _DURATION.fullmatch(word) is None:
        raise ConfigError(f'failed to parse duration "{text}" (expected eg "5m" or "1h5m")')
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(word))


def format_seconds(seconds: float) -> str:
    """A span of time for people in a narrow place, e.g. "0:42", "1:02:03", "2d 4h"."""
    whole = max(0, round(seconds))
    if whole >= 2 * 86400:
        return f"{whole // 86400}d {whole % 86400 // 3600}h"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def format_size(size: int) -> str:
    """`size` bytes for people, e.g. "15.36 kilobytes"."""
    number, _, name = _rounded(size)
    return f"{number} {name}" if number in ("1", "-1") else f"{number} {name}s"


def format_size_short(size: int) -> str:
    """`size` bytes for people in a narrow place, e.g. "15.36 kB"."""
    number, short, _ = _rounded(size)
    return f"{number} {short}"


def _rounded(size: int) -> tuple[str, str, str]:
    unit, short, name = next((row for row in _STORAGE if abs(size) >= row[0]), _STORAGE[-1])
    number = f"{size / unit:.2f}".rstrip("0").rstrip(".")
    return number, short, name
