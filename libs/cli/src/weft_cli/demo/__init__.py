"""`weft demo`: the main job on real input, with a name for everything that it checks."""
