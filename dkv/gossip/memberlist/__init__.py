"""SWIM with Lifeguard, as memberlist does it: who is there, by probing and gossip."""
