"""One iteration of 2D classification by RELION's own arithmetic."""
