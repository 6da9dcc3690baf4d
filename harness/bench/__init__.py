"""Measured side by side: the same operations on dkv and on its peers, in turn, with the distribution of each."""
