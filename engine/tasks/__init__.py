"""Long work: generators of steps, and the runner that executes them."""
