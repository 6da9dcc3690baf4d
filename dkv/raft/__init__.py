"""One Raft group's member on this node: pysyncobj, corrected, driven from outside."""
