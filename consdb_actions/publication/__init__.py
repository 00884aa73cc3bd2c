"""Publish a generated migration in its repository. Pure."""
