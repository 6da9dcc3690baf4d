"""Ordered, authenticated links between the nodes of one cluster."""
