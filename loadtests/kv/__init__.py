"""What all users of the key-value store share: keys, nodes, outcomes, measurements, flags."""
