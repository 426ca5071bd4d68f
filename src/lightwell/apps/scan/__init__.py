"""The leak search: planted values looked for in every byte of files, databases, objects and streams."""

from lightwell.apps.scan.forms import Needles, forms
from lightwell.apps.scan.pieces import Find, search_folders, search_piece
from lightwell.apps.scan.places import PlaceError, Scanned, places_of_cell, scan

__all__ = [
    "Find",
    "Needles",
    "PlaceError",
    "Scanned",
    "forms",
    "places_of_cell",
    "scan",
    "search_folders",
    "search_piece",
]
