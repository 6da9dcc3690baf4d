"""What a run is to do, as data: every fault and every operation with its time, drawn from a seed. Pure."""
