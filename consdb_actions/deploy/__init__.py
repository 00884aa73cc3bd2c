"""Plan changes of deployed tags and check their rules. Pure."""
