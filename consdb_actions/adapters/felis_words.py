"""Validate units and UCDs as Felis does."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

__all__ = ["unknown_ucds", "unknown_units"]


def unknown_units(units: Iterable[str]) -> frozenset[str]:
    """Return the units that astropy does not know."""
    words = {unit for unit in units if unit}
    if not words:
        return frozenset()
    from astropy import units as astropy_units

    unknown = set()
    for word in words:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                astropy_units.Unit(word)
        except (ValueError, TypeError):
            unknown.add(word)
    return frozenset(unknown)


def unknown_ucds(ucds: Iterable[str]) -> dict[str, str]:
    """Return invalid UCDs with the reason."""
    words = {ucd for ucd in ucds if ucd}
    if not words:
        return {}
    from astropy.io.votable import ucd as astropy_ucd

    unknown = {}
    for word in words:
        try:
            astropy_ucd.parse_ucd(word, check_controlled_vocabulary=True, has_colon=";" in word)
        except ValueError as error:
            unknown[word] = str(error)
    return unknown
