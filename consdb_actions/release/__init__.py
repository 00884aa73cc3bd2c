"""Releases: calendar versions, whether a commit may be tagged, and what a release holds. Pure."""
