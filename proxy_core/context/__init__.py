"""What a list costs a model and how it costs less: smaller tools, and search instead of a list. Pure but for counting."""
