"""A cell's ledger: facts are queued with what they record, put in one order, and served as public files."""
