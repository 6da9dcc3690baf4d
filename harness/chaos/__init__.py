"""A run from a plan to a verdict, the same run again, and a smaller plan that still fails."""
