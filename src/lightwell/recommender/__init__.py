"""The recommender: a slate as a pure function of a snapshot, a policy and a record, with its reasons."""
