"""Small real media and toy pieces, for tests and for trying things out."""
