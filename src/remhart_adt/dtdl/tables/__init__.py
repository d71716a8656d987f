"""The language as tables that a person can read: classes, limits, words, types, quantities, units, elements."""
