"""What is checked. A module's functions give ``Check``; ``gpu/stages`` says which belong together."""
