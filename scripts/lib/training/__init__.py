"""Training and judging of the models: worlds simulated on OpenDSS, features by the serving library, ONNX out."""
