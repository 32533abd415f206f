"""Meta-World's manipulation tasks. They run on a MuJoCo of their own, hence in a process of their own."""
