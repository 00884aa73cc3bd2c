"""The commands; each reads options, gathers facts, calls one function, and renders."""
