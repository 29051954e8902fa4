"""The live events of runs: one hub for a process, one watch for each stream."""
