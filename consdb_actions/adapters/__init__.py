"""Everything that touches the world outside: files, processes, databases, services."""
