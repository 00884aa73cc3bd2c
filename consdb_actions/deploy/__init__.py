"""Pure: which tag runs where, what a deployment changes in the values files, and whether it may go ahead."""
