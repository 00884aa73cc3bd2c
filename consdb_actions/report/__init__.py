"""Render results as text, Markdown, HTML and JSON."""
