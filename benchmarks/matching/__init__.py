"""How well the matcher tells copies of a document from other documents: drawn pages, captures, measurement."""
