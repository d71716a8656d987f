"""The control plane: instances, endpoints, roles, tokens and certificates."""
