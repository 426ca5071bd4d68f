"""Fitting: item graph and trees from evidence, the same for the same evidence; floats stay in here."""
