"""The checker: is a history linearizable, and if not, why. Pure: events in, a verdict out."""
