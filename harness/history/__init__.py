"""What happened in a run, as files that outlive it: operations, faults, nodes, the verdict; and others' histories."""
