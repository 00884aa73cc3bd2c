"""The whole process: the steps of a schema change, where each stands, and what to do next. Pure."""
