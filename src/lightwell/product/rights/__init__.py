"""People's rights over their own data: to have all of it, to correct it, and to have it erased."""

from lightwell.product.rights.deletion import delete_account, erasure_commitment, is_erased
from lightwell.product.rights.export import export
from lightwell.product.rights.returned import erase_again

__all__ = ["delete_account", "erase_again", "erasure_commitment", "export", "is_erased"]
