"""What can go wrong with a ledger's writer, named by what must happen next."""


class DurabilityError(RuntimeError):
    """The system could not say that data is on disk: the process must end, what it holds is not known."""


class ConflictError(RuntimeError):
    """Something else is stored than this writer expected: another writer has been here."""


class LedgerCorruptError(RuntimeError):
    """Files and database contradict each other: signing on could fork the ledger, so nothing is signed."""
