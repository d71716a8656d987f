"""Linear passes over the index: references, structure, what extensions ask for, what a service asks for."""
