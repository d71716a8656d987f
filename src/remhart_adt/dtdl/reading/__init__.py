"""From texts to an index: one walk per text finds elements, references and what is wrong with the text itself."""
