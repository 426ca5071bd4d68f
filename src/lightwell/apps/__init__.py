"""The composition roots: web, worker, oversight server, command line and demo."""
