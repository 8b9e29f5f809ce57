"""Sentiment models of residents' comments: data, nets, training, comparison, scoring."""
