"""Publish a generated migration in its repository. Pure.

Inputs are a schema change (`source`) and the files of a generating job (`result`); `plan` decides what is
proposed and keeps people's edits.
"""
