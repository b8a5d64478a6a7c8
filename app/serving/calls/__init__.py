"""How a model is called: queue, batch, executor, time limit."""
