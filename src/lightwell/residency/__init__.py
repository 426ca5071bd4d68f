"""Whose data is where, who may see it, what crosses and who may stop it, by one agreement file."""
