"""Does an encoder file keep the contract? `contract` is what every trial asks first; `check` asks everything."""
