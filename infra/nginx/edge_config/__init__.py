"""How the edge's configuration is made from the environment."""
