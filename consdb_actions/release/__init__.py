"""Releases: calendar versions, checks of the commit to tag, and release notes. Pure."""
