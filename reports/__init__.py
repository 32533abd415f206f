"""From a tree of results to tables, figures and one page. Reads files only; imports nothing of the engine."""
