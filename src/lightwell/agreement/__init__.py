"""The agreement as data: parsed, compiled to policies and checks, and judged term by term; pure."""
