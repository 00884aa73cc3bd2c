"""What may go wrong with a revision: it is replayed on the scratch server, and read by squawk."""
