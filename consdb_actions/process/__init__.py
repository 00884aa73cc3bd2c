"""The schema migration process: steps, their status, and the next action. Pure."""
