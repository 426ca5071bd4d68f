"""The plumbing of a cell: settings, database sessions, objects, jobs, errors, telemetry."""
