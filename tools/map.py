"""Writes and checks docs/map.md: one line a module, taken from the sentence that opens it.

Run `python -m tools.map` to write it again.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lightwell"
MAP = ROOT / "docs" / "map.md"
_HEAD = """# The map

One line a module: what it promises, in the sentence that opens it. Written by `python -m tools.map`;
`make check` fails when it is out of date. The floors, from the top: apps, product and oversight, residency,
ledger, base, and the pure packages wire, agreement and recommender. Imports point down only.
"""
_ORDER = ("apps", "product", "oversight", "residency", "ledger", "base", "agreement", "recommender", "wire")


def sentence(module: Path) -> str:
    """Return the first line of a module's docstring; raise ValueError when it has none."""
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    if not text:
        raise ValueError(f"{module.relative_to(ROOT)} does not open with a sentence")
    return " ".join(text.split("\n\n")[0].split())


def written() -> str:
    """Return what docs/map.md should hold for the code as it stands."""
    lines = [_HEAD]
    for floor in _ORDER:
        lines.append(f"\n## {floor}\n")
        for module in sorted((SOURCE / floor).rglob("*.py")):
            lines.append(f"- `{module.relative_to(SOURCE)}`: {sentence(module)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    MAP.write_text(written(), "utf-8")
