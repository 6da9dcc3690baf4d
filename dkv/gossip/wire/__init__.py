"""Bytes: every message of memberlist and Serf, packets and streams, encryption, and the limits of all of them."""
