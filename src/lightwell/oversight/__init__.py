"""The monitor: follows ledgers, witnesses, replays, finds and reports; it installs without the product."""
