"""Models of residents' voice: data, nets, training, comparison, scoring."""
