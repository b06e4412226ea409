"""What the methods of the catalogue are built on."""
