"""What all tests share."""

import os

# The stacks of tests make no titles unless they say so: many tests count the calls of the model.
os.environ.setdefault("WEFT_TITLES", "0")
