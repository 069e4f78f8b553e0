"""StableMax cross-entropy."""
