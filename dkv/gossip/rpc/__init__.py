"""One connection of an operator to the agent, without input and output."""
