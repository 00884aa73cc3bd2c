"""Decide who approved a schema change for which role; pure, without network or clock."""
