"""A body that computes, in six variants, and what its neighbour feels."""
