"""From people's votes to scores, and from scores of metrics to whether they agree with people."""
