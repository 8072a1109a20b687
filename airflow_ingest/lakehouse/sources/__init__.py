"""Where rows come from: each source lists what there is, and reads what a batch has pinned."""
