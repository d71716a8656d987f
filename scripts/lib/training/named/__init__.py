"""The family that the published design names for a model, trained beside the shipped one so that figures decide."""
