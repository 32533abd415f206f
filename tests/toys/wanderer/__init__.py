"""A random policy that drifts: its state is a counter and a drawn direction. It infers nothing."""
