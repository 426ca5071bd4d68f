"""Tools of the tree: the map and the checks that no other tool makes."""
