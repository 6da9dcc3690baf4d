"""What can be done to a running cluster: each kind of fault an object that draws, injects, probes and heals."""
