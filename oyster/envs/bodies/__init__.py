"""Bodies that families share: model, observation, resets. A family adds tasks and a reward."""
