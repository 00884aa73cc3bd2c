"""Lint revisions by replaying them on the scratch server and by squawk."""
