"""A message that another program finished: `raw` checks its lines and `raw_head` its header block, and otherwise it is
left as it is. `raw_arguments` are those of its call."""
