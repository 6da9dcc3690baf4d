"""The replicated state machine: commands in, results out."""
