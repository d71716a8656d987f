"""The rehearsal stage: a local Azure Digital Twins server and a local Event Hub, as processes or inside a test."""
