"""Models of real size, with random weights, made where they are used; and tiny ones of the same classes."""
