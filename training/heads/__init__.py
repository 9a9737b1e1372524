"""Value heads: learned from a log of a policy's samples, read from its hidden states."""
