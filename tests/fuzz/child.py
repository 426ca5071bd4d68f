"""One fuzzing process: `python -m tests.fuzz.child MODULE TARGET [libFuzzer's words ...]`."""

import importlib
import sys

import atheris

# Only code imported in here reports which branches it took: that of the formats, not the target's own.
with atheris.instrument_imports(include=["lightwell.wire"], enable_loader_override=False):
    importlib.import_module("lightwell.wire.audit")
    module = importlib.import_module(sys.argv[1])

atheris.Setup([sys.argv[0], *sys.argv[3:]], module.TARGETS[sys.argv[2]].run, internal_libfuzzer=True)
atheris.Fuzz()
