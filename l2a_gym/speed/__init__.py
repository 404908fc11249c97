"""How fast the project is: every figure is a ratio, or comes with one, from interleaved repetitions."""
