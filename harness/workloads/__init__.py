"""Clients at work: what an operation of a plan does with a system's client, and what the history says of it."""
