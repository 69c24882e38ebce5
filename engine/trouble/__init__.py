"""What an I/O error leads to: a decision, a place mended, a relocation, a mirror caught up."""
