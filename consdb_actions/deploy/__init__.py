"""Tags and environments: plan a change of the values files and decide whether it is allowed. Pure."""
