"""Renders one picture in a process of its own: `python -m lightwell.apps.demo.pictures <json> <file>`."""

import os
import sys
from pathlib import Path

import msgspec

from lightwell.apps.demo.pictures.render import Picture, encode

if __name__ == "__main__":
    # The cell that transcodes and answers people goes first; pictures take what is left.
    os.nice(5)
    tone = 220.0 if "--tone" in sys.argv[3:] else None
    encode(msgspec.json.decode(sys.argv[1], type=Picture), Path(sys.argv[2]), tone)
