"""Serf above it: intents, Lamport time, events, queries, and what a restart needs."""
