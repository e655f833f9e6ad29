"""How values and tables are written, whatever they are of."""
