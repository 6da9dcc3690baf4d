"""The testbed: starts a cluster of real processes, breaks it, and tells how it stands."""
