"""Felis schemas: model, delta, digest and version verdict; pure."""
