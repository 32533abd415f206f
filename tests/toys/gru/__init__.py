"""An on-policy algorithm with memory: a GRU that is told observation, action, reward and whether the episode ended."""
