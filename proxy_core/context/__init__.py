"""What lists cost a model, and how they cost less: smaller tools, and search in place of a list."""
