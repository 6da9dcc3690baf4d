"""Gossip: a member of a Serf cluster, in memberlist's and Serf's wire protocol, beside HashiCorp's own agents."""
